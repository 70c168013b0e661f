/** All of libpubhook. Plugins include <pubhook/plugin.h> instead. */
#ifndef PUBHOOK_PUBHOOK_H
#define PUBHOOK_PUBHOOK_H

#include <pubhook/app.h>
#include <pubhook/auth.h>
#include <pubhook/client.h>
#include <pubhook/defer.h>
#include <pubhook/err.h>
#include <pubhook/event.h>
#include <pubhook/json.h>
#include <pubhook/log.h>
#include <pubhook/metrics.h>
#include <pubhook/mqtt.h>
#include <pubhook/reply.h>
#include <pubhook/serve.h>
#include <pubhook/service.h>
#include <pubhook/state.h>
#include <pubhook/token.h>
#include <pubhook/version.h>

#endif
