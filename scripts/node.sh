# Sourced by the scripts that run node. Debian 12's node 18 has the Web Crypto that the
# official packages use, but not under its global name.
case $(node --version) in
v18.*) export NODE_OPTIONS="${NODE_OPTIONS:+$NODE_OPTIONS }--experimental-global-webcrypto" ;;
esac

# "localhost" is ::1 first on many machines, and node before 20 tries no other address; what
# is under test listens on 127.0.0.1.
export NODE_OPTIONS="${NODE_OPTIONS:+$NODE_OPTIONS }--dns-result-order=ipv4first"
