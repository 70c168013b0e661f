#include "broker/net/ca_file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static enum ph_err load(const char *path, const char *whose, struct diag *diag)
{
    X509_STORE *store;
    bool loaded;

    if (access(path, R_OK) != 0)
        return diag__set(diag, PH_ERR_CONFIG, "caFile \"%s\" %s cannot be read: %s", path, whose,
                         strerror(errno));
    store = X509_STORE_new();
    loaded = store && X509_STORE_load_file(store, path) == 1;
    X509_STORE_free(store);
    ERR_clear_error();
    return loaded ? PH_OK
                  : diag__set(diag, PH_ERR_CONFIG,
                              "caFile \"%s\" %s holds no certificate in PEM (-----BEGIN "
                              "CERTIFICATE-----)",
                              path, whose);
}

static enum ph_err check(struct str file, const char *whose, struct diag *diag)
{
    char *path;
    enum ph_err err;

    if (!file.ptr)
        return PH_OK;
    path = str__dup(file);
    err = path ? load(path, whose, diag) : diag__set(diag, PH_ERR_MEMORY, "out of memory");
    free(path);
    return err;
}

static enum ph_err check_hub(const struct hub_settings *hub, struct diag *diag)
{
    char whose[200];
    enum ph_err err = PH_OK;

    snprintf(whose, sizeof(whose), "of an event handler of hub %.*s", STR_FMT(hub->name));
    for (size_t i = 0; i < hub->handler_count && !err; i++)
        err = check(hub->handlers[i].ca_file, whose, diag);
    return err;
}

enum ph_err ca_files__check(const struct settings *settings, struct diag *diag)
{
    enum ph_err err = check(settings->ca_file, "of the configuration", diag);

    for (size_t i = 0; i < settings->hub_count && !err; i++)
        err = check_hub(&settings->hubs[i], diag);
    return err;
}
