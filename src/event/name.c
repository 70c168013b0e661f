#include "event/name.h"

bool event__is_group_name(struct str name)
{
    size_t characters = 0;
    bool blank = true;

    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        characters += (c & 0xC0) != 0x80;
        if (c > ' ')
            blank = false;
    }
    return !blank && characters <= GROUP_NAME_MAX;
}
