# Answer which store paths are not valid here. It changes nothing.
#
# In: store paths, one a line. Out: missing=.
set -eu
xargs nix-store --check-validity --print-invalid | sed 's/^/missing=/'
