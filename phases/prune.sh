# prune: unpin what no one will go back to, once a promotion is confirmed on all
# targets. KEEP says how many confirmed releases stay pinned.
#
# Kept are the newest KEEP releases that were confirmed, this one, the one that
# was live until now, whatever a link leads to, and the one that a rollback would
# go to; which may have been let go when it was not that yet. Only promotions
# that came before this one are touched: a later one may be under way. Promotions
# of the same content are one release.
prune() {
    fence
    # The way back from it is on record by now, and pinned as that.
    rm -f "/nix/var/nix/gcroots/rel/$APP/$ID"/previous.*
    origin=$(rows "$dir/release" origin)
    mine=$(content "$dir")
    until_now=$(basename "$(cat "$dir/before" 2>/dev/null || true)")
    given_up=" $(for mark in "$state"/releases/*/left; do [ ! -e "$mark" ] || content "${mark%/left}"; done | tr '\n' ' ')"
    is_in() { case $1 in *" $2 "*) return 0 ;; *) return 1 ;; esac }
    led_to() { rows "$1/release" link | while IFS=$tab read -r link target; do [ "$(at "$link")" != "$target" ] || echo yes; done | grep -q yes; }
    kept=0 seen=' ' previous=
    newest_first() {
        for old in "$state"/releases/*/; do printf '%s %s\n' "$(epoch "$(basename "$old")")" "$(basename "$old")"; done | sort -rn | cut -d' ' -f2
    }
    for name in $(newest_first); do
        old=$state/releases/$name
        content=$(content "$old")
        if [ -e "$old/confirmed" ]; then
            if ! is_in "$seen" "$content"; then
                kept=$((kept + 1))
                [ "$kept" -gt "$KEEP" ] || seen="$seen$content "
            fi
            if [ -z "$previous" ] && earlier "$name" "$origin" && [ "$content" != "$mine" ] && ! is_in "$given_up" "$content" &&
                [ "$(rows "$old/release" kind)" != rollback ]; then
                previous=$name
                pin "$name"
            fi
        fi
        if ! earlier "$name" "$ID" || [ "$name" = "$previous" ] || [ "$name" = "$until_now" ] || [ "$content" = "$mine" ] ||
            { [ -e "$old/confirmed" ] && is_in "$seen" "$content"; } || led_to "$old"; then
            continue
        fi
        rm -rf "/nix/var/nix/gcroots/rel/$APP/$name"
    done
}
