-- wrk: a signed `message` event, as the service sends it. CONNECTION_ID and SIGNATURE
-- come from the environment.
wrk.method = "POST"
wrk.path = "/eventhandler"
wrk.body = string.rep("x", 64)
wrk.headers = {
   ["Content-Type"] = "text/plain; charset=utf-8",
   ["WebHook-Request-Origin"] = "localhost",
   ["ce-specversion"] = "1.0",
   ["ce-awpsversion"] = "1.0",
   ["ce-type"] = "azure.webpubsub.user.message",
   ["ce-source"] = "/hubs/bench/client/" .. os.getenv("CONNECTION_ID"),
   ["ce-id"] = "2",
   ["ce-time"] = "2026-11-20T12:00:00Z",
   ["ce-hub"] = "bench",
   ["ce-connectionId"] = os.getenv("CONNECTION_ID"),
   ["ce-eventName"] = "message",
   ["ce-userId"] = "bench",
   ["ce-signature"] = os.getenv("SIGNATURE"),
}
