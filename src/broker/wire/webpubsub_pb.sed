/^import /d
s/"proto3"/"proto2"/
s/^package .*/package pb;/
s/google\.protobuf\.Any/bytes/
s/map<string, string>/repeated Entry/
s/\bstring\b/bytes/
s/\bbool\b/uint64/
/oneof/,/\}/!s/^( *)([A-Za-z0-9]+ [a-z_]+ = )/\1optional \2/
$a message Entry { optional bytes key = 1; optional bytes value = 2; }
