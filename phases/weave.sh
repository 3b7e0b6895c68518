# What is sent to a target, as one stream: a line that names how it is packed; for each
# path that goes as a patch a line "patch <base> <bytes of the patch> <bytes that it makes>
# <bytes of the rest that come before>"; a line "---"; the patches; and the rest, packed.
# Unpacked, and with what the patches make laid between, it is what nix-store --serve
# --write reads.
#
# It begins by asking for the whole closure, which keeps what is there, and what is to
# come, from the collector until the target's roots hold it; and ends by asking what has
# become valid.
#
# In: MOST (bytes; what is larger gets no patch); rows "accept <the ways to pack that the
# target can undo, best first>", "bundle <a file that has the stream already; nothing, if
# none does>", "root <store path>" of what the closure is of, and, references first, "path
# <store path> <bytes as an archive> <bytes of its request> <the request, as printf takes
# it> <base>". All is separated by tabs; with gzip and base64, and then the last line.
tab=$(printf '\t')
pack() {
    case $filter in
    zstd) zstd -q -3 -c ;;
    gzip) gzip -1 -c ;;
    *) cat ;;
    esac
}

# of KIND: what follows the kind in the rows of that kind.
of() { sed -n "s/^$1$tab//p" "$work/rows"; }

# make_work: a folder of its own, as work.
make_work() {
    # It goes into words that others split at blanks.
    case ${TMPDIR:-} in '' | *[!A-Za-z0-9/._-]*) TMPDIR=/var/tmp ;; esac
    work=$(mktemp -d "$TMPDIR/.rel-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 143' HUP INT TERM PIPE
}

# take_rows: the rows, whole; a connection that is cut ends them too.
take_rows() {
    to_end >"$work/packed"
    [ "$(tail -n 1 "$work/packed")" = "# end" ] || { echo "the list of paths broke off" >&2; exit 1; }
    sed '$d' "$work/packed" | base64 -d | gzip -dc >"$work/rows" || exit 1
    rm -f "$work/packed"
    bundle=$(of bundle)
    filter=none
    for offer in $(of accept); do
        if [ "$filter" = none ] && command -v "$offer" >/dev/null 2>&1; then filter=$offer; fi
    done
}

# patch N PATH BASE SIZE HAD: what makes PATH's archive from that of BASE, which is of HAD
# bytes, as $work/patch.N, if it is worth it. zstd holds both in memory, and takes only a file as base.
patch() {
    if [ "$filter" = zstd ] && [ "$4" -le "$MOST" ] && [ "$5" -le "$MOST" ] &&
        [ "$(df -Pk "$work" | awk 'NR == 2 { print $4 }')" -gt $((MOST / 256)) ] &&
        { nix-store --dump "$3" >"$work/base.$1" & } && nix-store --dump "$2" >"$work/new.$1" && wait "$!" &&
        zstd -q -f -3 --long=27 --patch-from="$work/base.$1" "$work/new.$1" -o "$work/made.$1" >&2 &&
        # One that saves little is not worth the trouble.
        [ "$(wc -c <"$work/made.$1")" -lt $(($4 / 2)) ]; then
        mv "$work/made.$1" "$work/patch.$1"
    fi
    rm -f "$work/base.$1" "$work/new.$1" "$work/made.$1"
}

# sizes: $work/wanted with what each base comes to as an archive, in $work/sized. A base that
# is gone is as one that is too large.
sizes() {
    cut -f3 "$work/wanted" >"$work/bases"
    xargs nix-store --query --size <"$work/bases" >"$work/had" 2>/dev/null ||
        while read -r base; do
            nix-store --query --size "$base" 2>/dev/null || echo $((MOST + 1))
        done <"$work/bases" >"$work/had"
    paste "$work/wanted" "$work/had" >"$work/sized"
}

# make_patches: those of the rows in $work/wanted. Four that are of 16 MB at most, as are
# their bases, are made at once; more, or larger ones, would want a gigabyte.
make_patches() {
    if [ "$filter" != zstd ] || [ ! -s "$work/wanted" ]; then return 0; fi
    sizes
    n=0
    while IFS=$tab read -r _ path base size had; do
        n=$((n + 1))
        if [ "$size" -le 16777216 ] && [ "$had" -le 16777216 ]; then
            patch "$n" "$path" "$base" "$size" "$had" &
            [ $((n % 4)) -ne 0 ] || wait
        else
            wait
            patch "$n" "$path" "$base" "$size" "$had"
        fi
    done <"$work/sized"
    wait
}

# valid LOCK: ask which paths of the closure are valid. QueryValidPaths is 1; nothing is to
# be substituted.
valid() { bytes "$(number 1)$(number "$1")$(number 0)$(number "$(wc -l <"$work/closure")")$(texts '' <"$work/closure")"; }

# ends: what comes before all paths, and after.
ends() {
    of root | xargs nix-store --query --requisites >"$work/closure" &&
        { bytes "$greeting" && valid 1; } >"$work/head" && valid 0 >"$work/tail"
}

# patches: the stream up to the rest. What goes by a patch is in $work/patched then.
patches() {
    echo "$filter"
    : >"$work/patched"
    # How much comes before each path that may go by one.
    { wc -c <"$work/head" && of path; } | awk -F"$tab" '
        NR == 1 { before = $1; next }
        { before += $3; if ($5 != "") printf "%.0f\t%s\t%s\t%s\n", before, $1, $5, $2; before += $2 }' >"$work/wanted"
    make_patches
    n=0
    gone=0
    while IFS=$tab read -r before path base size; do
        n=$((n + 1))
        [ -e "$work/patch.$n" ] || continue
        echo "$path" >>"$work/patched"
        printf 'patch\t%s\t%s\t%s\t%s\n' "$base" "$(wc -c <"$work/patch.$n")" "$size" "$((before - gone))"
        gone=$((before + size))
    done <"$work/wanted"
    echo ---
    i=0
    while [ "$i" -lt "$n" ]; do
        i=$((i + 1))
        [ ! -e "$work/patch.$i" ] || cat "$work/patch.$i"
        rm -f "$work/patch.$i"
    done
}

# steps: the rest, in steps: "one <request> <bytes>" is an archive, of so many bytes, and what
# comes before it. It takes a process to cut one off from those that follow, which for a small
# one is most of the time; so "many <file> <bytes>" are small ones in a row, of so many bytes
# together, and the file has a row "<request> <its bytes> <bytes>" for each.
steps() {
    small=0
    ! command -v basenc >/dev/null 2>&1 || small=65536
    of path | awk -F"$tab" -v OFS="$tab" -v small="$small" -v few=8 -v most=1000 -v work="$work" '
        function step(  i, file) {
            if (n > few) {
                file = sprintf("%s/many.%d", work, ++files)
                for (i = 1; i <= n; i++) print request[i], asked[i], size[i] >file
                close(file)
                print "many", file, sum
            } else
                for (i = 1; i <= n; i++) print "one", request[i], size[i]
            n = sum = 0
        }
        kind == "patched" { patched[$1]; next }
        $1 in patched { $2 = 0 }
        $2 >= small { step() }
        { request[++n] = $4; asked[n] = $3; size[n] = $2; sum += $2 }
        $2 >= small || n == most { step() }
        END { step() }' kind=patched "$work/patched" kind=path -
}

# lay FILE BYTES: lay the requests of FILE between so many bytes of archives. Few awks can hold
# a zero: it sees both in hexadecimal, the requests as one line.
lay() {
    {
        bytes "$(cut -f1 "$1" | tr -d '\n')" | basenc --base16 -w 0 && echo
        head -c "$2" | basenc --base16 -w 1024
    } | awk -F"$tab" '
        function begin() {
            do {
                print substr(requests, at + 1, 2 * asked[++i])
                at += 2 * asked[i]
                left = 2 * size[i]
            } while (!left && i < n)
        }
        kind == "rows" { asked[++n] = $2; size[n] = $3; next }
        !i { requests = $0; begin(); next }
        {
            for (; i < n && length($0) >= left; begin()) {
                print substr($0, 1, left)
                $0 = substr($0, left + 1)
            }
            left -= length($0)
            print
        }' kind=rows "$1" kind=bytes - | basenc --base16 -d
}

# weave: the rest. One nix-store gives all archives, one behind the other (DumpStorePath is
# 3); what is to come before each is laid between.
weave() {
    requests=$(of path | cut -f1 | grep -vxF -f "$work/patched" | texts "$(number 3)")
    bytes "$greeting$requests" >"$work/requests"
    steps >"$work/steps"
    cat "$work/head"
    {
        # It takes longer to begin than a patch to arrive; where all are patches none is asked.
        if [ -z "$requests" ]; then bytes "$greeting"; else nix-store --serve <"$work/requests" || echo "$?" >"$work/failed"; fi
    } | {
        head -c 16 >/dev/null # its own greeting
        while IFS=$tab read -r step what size <&3; do
            case $step in
            one) bytes "$what" && head -c "$size" ;;
            many) lay "$what" "$size" ;;
            esac || echo "$?" >"$work/failed"
        done 3<"$work/steps"
    }
    cat "$work/tail"
}

# stream: all of it. Fails if a part could not be had.
stream() {
    if [ -n "$bundle" ]; then
        cat "$bundle"
    else
        ends && patches && weave | pack && [ ! -e "$work/failed" ]
    fi
}
