/* Microsoft Entra as a second way for services to say who they are (client-and-rest section 5.6).
 */
#ifndef BROKER_CONFIG_ENTRA_H
#define BROKER_CONFIG_ENTRA_H

#include "broker/config/settings.h"

#define ENTRA_DEFAULT_AUDIENCE "https://webpubsub.azure.com"

/* Keys that decide over access are fetched over https, or from this machine. */
enum ph_err entra__check_url(struct str url, struct diag *diag);
/* The object as a whole: either all that a check needs, or the wish for none. Fills in
 * the audience. PH_ERR_ARGUMENT and what is missing. */
enum ph_err entra__check(struct entra_settings *entra, struct diag *diag);

#endif
