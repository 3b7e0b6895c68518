# The links that the job repoints, and the way back.

# point LINK TARGET: by rename, so that there is no instant without the link.
point() {
    rm -f "$1.rel-new" && ln -s "$2" "$1.rel-new" && mv -fT "$1.rel-new" "$1" && sync "$(dirname "$1")"
}

# remember: write down what the links and units are like, once and never again:
# what a second run would find is what the first one left. And pin it: it need
# not be a release of ours, or one that still is.
remember() {
    [ ! -e "$dir/previous" ] || return 0
    pins=0
    field link | while IFS=$tab read -r link _; do
        was=$(at "$link")
        case $was in
        /nix/store/*)
            pins=$((pins + 1))
            ln -sfn "$was" "/nix/var/nix/gcroots/rel/$APP/$ID/previous.$pins" || exit 1
            ;;
        esac
    done || return 1
    {
        field link | while IFS=$tab read -r link _; do
            printf 'link\t%s\t%s\n' "$link" "$(at "$link")"
        done
        field unit | while read -r unit; do
            printf 'unit\t%s\t%s\n' "$unit" "$(condition "$unit")"
        done
    } >"$dir/previous.new"
    # On a full disk the loops above fail without a word.
    [ "$(wc -l <"$dir/previous.new")" -eq "$({ field link && field unit; } | wc -l)" ] &&
        sync "$dir/previous.new" && mv "$dir/previous.new" "$dir/previous" && sync "$dir"
}

# ours LINK: whether it points where this release wants it.
ours() { field link | grep -qxF "$1$tab$(at "$1")"; }

# changed: a link that is neither as it was nor already ours. Someone else
# promoted, or repointed it by hand; going on would take their work away.
changed() {
    if [ -e "$dir/previous" ]; then rows "$dir/previous" link; else field was; fi |
        while IFS=$tab read -r link target; do
            if [ -e "$link" ] && [ ! -L "$link" ]; then
                printf '%s\n' "$link"
            elif [ "$(at "$link")" != "$target" ] && ! ours "$link"; then
                printf '%s\n' "$link"
            fi
        done | sed -n 1p
}

# overtaken: the promotion that went live, or was applied, after this one was.
# What lies there now is its: also links that lead where this release's do.
overtaken() {
    live=$(live)
    [ "$live" = "$ID" ] || [ "$live" = "$(field live)" ] || { echo "$live" && return; }
    for begun in "$state"/releases/*/begun; do
        by=$(basename "$(dirname "$begun")")
        if [ -e "$begun" ] && earlier "$ID" "$by"; then echo "$by"; fi
    done | sed -n 1p
}

# waiting: another promotion that may go back any moment, and then to what it knows.
# A rollback passes one that nothing takes back by itself.
waiting() {
    kind=$(rows "$dir/release" kind)
    for other in "$state"/releases/*/; do
        other=${other%/}
        if [ "$other" = "$dir" ] || ! unfinished "$other"; then continue; fi
        if [ "$kind" = rollback ] && ! left "$other" >/dev/null; then continue; fi
        echo "${other##*/}"
    done | sed -n 1p
}

# unfit: what a link is to point at and that cannot be run, or a store path
# whose content is not what Nix recorded: valid is not yet whole, since Nix does
# not sync what it copies, and disks lie.
unfit() {
    field link | while IFS=$tab read -r _ target; do
        [ -x "$target" ] || printf 'there is no executable %s\n' "$target"
    done | sed -n 1p | grep . && return
    said=$(xargs nix-store --verify-path <"$dir/closure" 2>&1) && return
    path=$(printf '%s\n' "$said" | sed -n "s|.*\(/nix/store/[^' ]*\)' was modified.*|\1|p" | sed -n 1p)
    echo "${path:-the closure} is damaged in the store: ${said%%
*}"
}

# restore: put back what previous says; broken lists what is not as it was.
#
# Of several foreign links among our own, the units cannot be as they were: that
# is said. Where all are foreign, another release is live, and nothing is ours.
restore() {
    broken=
    foreign=
    back=
    while IFS=$tab read -r kind name was; do
        [ "$kind" = link ] || continue
        if [ "$(at "$name")" = "$was" ]; then
            continue
        elif ! ours "$name"; then
            say "$name was changed by someone else; left as it is"
            foreign="$foreign $name"
            continue
        elif [ -n "$was" ]; then
            point "$name" "$was" || broken="$broken $name"
        elif ! rm -f "$name" || ! sync "$(dirname "$name")"; then
            broken="$broken $name"
        fi
        back=yes
    done <"$dir/previous"
    # Where someone else's release is live, the units are theirs too.
    if [ -n "$foreign" ] && [ -z "$back" ] && [ ! -e "$dir/stuck" ]; then return 0; fi
    broken="$broken$foreign"
    wanted=
    while IFS=$tab read -r kind name was; do
        [ "$kind" = unit ] || continue
        case $was in
        # It was coming or going, over and over perhaps: there is no more to wait
        # for than there was.
        *activating) systemctl restart --no-block "$name" || broken="$broken $name" ;;
        inactive | failed)
            systemctl stop "$name" || broken="$broken $name"
            systemctl reset-failed "$name" 2>/dev/null
            ;;
        *)
            wanted="$wanted$name
"
            if ! restart "$name" || ! active "$name"; then broken="$broken $name"; fi
            ;;
        esac
    done <"$dir/previous"
    if [ -z "$broken" ] && ! steady "$wanted"; then broken=" $faulty"; fi
    [ -z "$broken" ]
}
