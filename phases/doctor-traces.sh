# Answer what promotions have left behind on a target, and how large the live release
# is. It changes nothing.
#
# In: APP; links, one a line.
# Out: temporary= (files that a script which was cut has left, an hour ago or more);
# root=<promotion> (whose GC roots are here, but nothing else); idle=<promotion> (that has
# GC roots, and has never been live); timer= (units that are to take a release back which waits for nobody);
# json= (the live release).
set -eu
{
    find "$state" "$state"/releases/* -maxdepth 1 \( -name '.rel-*' -o -name '*.new' -o -name 'new.*.job' -o -name 'new.*.sh' \) -mmin +60
    while read -r link; do
        find "$(dirname "$link")" -maxdepth 1 -name "$(basename "$link").rel-new" -mmin +60
    done
} 2>/dev/null | sort -u | sed -e 's/^/temporary=/' -e 20q
for root in "/nix/var/nix/gcroots/rel/$APP"/*/; do
    release=$(basename "$root")
    if [ ! -e "$root" ]; then
        continue
    elif [ ! -e "$state/releases/$release/release" ]; then
        echo "root=$release"
    elif [ -z "$(find "$state/releases/$release" -maxdepth 1 \( -name 'begun*' -o -name 'confirmed*' \))" ]; then
        echo "idle=$release"
    fi
done
promotion() { printf '%s\n' "$1" | sed -n "s/^rel-[a-z]*-$APP-\([0-9]\{8\}-[0-9]\{6\}-[0-9a-z]*\).*/\1/p"; }
[ ! -d /run/systemd/system ] ||
    systemctl list-units --all --plain --no-legend "rel-*-$APP-*.timer" 2>/dev/null | while read -r timer _; do
        release=$(promotion "$timer")
        [ -z "$release" ] || unfinished "$state/releases/$release" || printf 'timer=%s\n' "$timer"
    done
[ ! -e "$state/live/release" ] || rows "$state/live/release" json | sed 's/^/json=/'
