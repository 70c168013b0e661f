/* A shared object that is no plugin: it exports nothing of ours. */
int bad_no_entry(void);
__attribute__((visibility("default"))) int bad_no_entry(void)
{
    return 0;
}
