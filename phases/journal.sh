# Show what the units said since the apply, on standard error. It changes
# nothing.
#
# In: DIR (the promotion's folder); units, one a line.
set -u
# The apply writes this file right before it repoints the first link.
began=$(stat -c %Y "$DIR/links.now" 2>/dev/null || echo 0)
[ -d /run/systemd/system ] || exit 0
while read -r unit; do
    [ -n "$unit" ] || continue
    echo "--- $unit" >&2
    journalctl --no-pager --quiet --since="@$began" --lines=30 --output=cat --unit="$unit" >&2
done
