# Tell what Nix knows of store paths. It changes nothing.
#
# In: store paths, one a line. Out: infos=<what nix-store --serve says of them, with gzip
# and base64>.
set -eu
infos
