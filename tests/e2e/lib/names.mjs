// The subprotocols of clients (client-and-rest section 1.4).
export const jsonProtocol = "json.webpubsub.azure.v1";
export const reliableProtocol = "json.reliable.webpubsub.azure.v1";
