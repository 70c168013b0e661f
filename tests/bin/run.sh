# What the tests of programs share. Sourced; their environment is the
# AM_TESTS_ENVIRONMENT of tests/bin/local.am.
[ -n "${BOUNDED-}" ] || BOUNDED=1 exec timeout 600 "$0" "$@"
set -u
: "${srcdir:?}" "${PUBHOOKD:?}" "${HANDLERS:?}"
unset WebPubSubConnectionString PUBHOOK_PLUGINS GATEWAY_INTERFACE QUERY_STRING
key=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH
# of connection "conn1" (event-handler section 4, vector 7)
signature=sha256=8de7281e588e23b0a30a7180ffa240257b8176e983004c240c9f3f7a7233c993
folder=$(mktemp -d)
failures=0
child=

clean_up() {
	[ -z "$child" ] || kill "$child" 2>/dev/null
	rm -rf "$folder"
}
trap clean_up EXIT

wrong() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# expect STATUS TEXT COMMAND...: its exit status, and a text in what it prints.
expect() {
	status=$1 text=$2
	shift 2
	got=0
	"$@" >"$folder/out" 2>&1 || got=$?
	[ "$got" = "$status" ] || wrong "$*: exit $got, expected $status: $(cat "$folder/out")"
	grep -qF -- "$text" "$folder/out" || wrong "$*: nothing like \"$text\" in: $(cat "$folder/out")"
}

# Waits for `ready ADDRESS` of the program that was started as $child with its output in
# $folder/ready; a FIFO, so that this is no polling.
await_ready() {
	read -r word address <"$folder/ready" || wrong "not ready"
	[ "$word" = ready ] || wrong "got \"$word $address\", expected \"ready ADDRESS\""
}

# end SIGNAL: the child exits 0.
end() {
	kill "-$1" "$child"
	got=0
	wait "$child" || got=$?
	child=
	[ "$got" = 0 ] || wrong "exit $got after SIG$1"
}

# post URL BODY: a signed event "message"; prints the answer's body and status.
post() {
	curl -s --max-time 60 -w ' %{http_code}' "$1" -H 'ce-specversion: 1.0' -H 'ce-awpsversion: 1.0' \
		-H 'ce-type: azure.webpubsub.user.message' -H 'ce-source: /hubs/chat/client/conn1' \
		-H 'ce-id: 2' -H 'ce-time: 2026-11-20T12:00:00Z' -H "ce-signature: $signature" \
		-H 'ce-connectionId: conn1' -H 'ce-hub: chat' -H 'ce-eventName: message' \
		-H 'ce-userId: ann' -H 'WebHook-Request-Origin: localhost' \
		-H 'Content-Type: text/plain' --data-binary "$2"
}

same() { # WHAT GOT EXPECTED
	[ "$2" = "$3" ] || wrong "$1: got \"$2\", expected \"$3\""
}
