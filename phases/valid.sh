# Answer which store paths are not valid here. It changes nothing.
#
# In: store paths, one a line. Out: missing=.
set -eu
# Not piped: a nix-store that fails must not pass for one that misses nothing.
missing=$(xargs nix-store --check-validity --print-invalid)
[ -z "$missing" ] || printf '%s\n' "$missing" | sed 's/^/missing=/'
