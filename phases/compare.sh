# Tell what is live on a target, path by path, and what it lacks of another closure. It
# changes nothing.
#
# In: as target.sh; store paths, one a line.
# Out: live=<path><tab><bytes as an archive>; missing=<path>.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/closure"
missing=$(xargs nix-store --check-validity --print-invalid <"$work/closure")
[ -z "$missing" ] || printf '%s\n' "$missing" | sed 's/^/missing=/'
[ -e "$state/live/closure" ] || exit 0
# What is no longer there has no size.
xargs nix-store --check-validity --print-invalid <"$state/live/closure" >"$work/lost"
grep -vxF -f "$work/lost" "$state/live/closure" >"$work/live" || exit 0
xargs nix-store --query --size <"$work/live" >"$work/sizes"
paste "$work/live" "$work/sizes" | sed 's/^/live=/'
