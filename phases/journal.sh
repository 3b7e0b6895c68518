# Show what the units said since the apply, on standard error. It changes
# nothing.
#
# In: APP ID, COUNT (how many, of all units together); units, one a line.
set -u
[ -d /run/systemd/system ] || exit 0
# The apply writes this file right before it repoints the first link; without
# it, nothing was applied and the last lines say what is known.
began=$(stat -c %Y "$dir/links.now" 2>/dev/null || echo 0)
set --
while read -r unit; do
    [ -z "$unit" ] || set -- "$@" --unit="$unit"
done
[ $# -eq 0 ] ||
    journalctl --no-pager --quiet --since="@$began" --lines="$COUNT" --no-hostname --output=short-iso "$@" >&2
