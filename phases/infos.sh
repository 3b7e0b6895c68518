# What the scripts share that speak Nix's serve protocol (see phases/serve).

# Bytes are in octal, as printf takes them, since no shell and few awks can hold a zero.

# greeting: what a client says first, a number to know it by and version 2.6.
greeting='\353\235\014\071\000\000\000\000\006\002\000\000\000\000\000\000'

# number N: a number below 2^24.
number() { printf '\\%03o\\%03o\\%03o\\000\\000\\000\\000\\000' $(($1 % 256)) $(($1 / 256 % 256)) $(($1 / 65536)); }

# texts NUMBER: the lines on standard input, each with its length, zeros to a multiple of
# eight bytes, and the number before it, if there is one.
texts() {
    BEFORE=$1 awk '{
        n = length($0)
        printf "%s\\%03o\\%03o\\000\\000\\000\\000\\000\\000%s", ENVIRON["BEFORE"], n % 256, int(n / 256), $0
        for (; n % 8; n++) printf "\\000"
    }'
}

# bytes OCTAL: print them.
# shellcheck disable=SC2059 # it is made to be a format
bytes() { printf "$1"; }

# infos: what is known of the paths on standard input. QueryPathInfos is 2.
infos() {
    asked=$(cat)
    bytes "$greeting$(number 2)$(number "$(printf '%s\n' "$asked" | wc -l)")$(printf '%s\n' "$asked" | texts '')" |
        nix-store --serve | gzip -c | base64 | sed 's/^/infos=/'
}

# to_end: standard input up to its last line; it need not have ended there. A sed without
# -u, as busybox's, looks for what comes after that.
to_end() {
    if sed -u p </dev/null 2>/dev/null; then
        sed '/^# end$/q'
    else
        while IFS= read -r row && printf '%s\n' "$row" && [ "$row" != "# end" ]; do :; done
    fi
}
