// The client library in C goes through the scenarios of the official JavaScript client: the
// same files, with the other client in its place (lib/cclient.mjs).

process.env.PUBHOOK_TEST_CLIENT = "c";

for (const suite of ["sdk", "sdklife", "recovery", "streams", "invoke"]) await import(`./${suite}.test.mjs`);
