# Read what export.sh wrote into the store.
set -eu
# read takes one byte at a time, so the rest is left for what follows.
IFS= read -r filter
case $filter in
zstd) zstd -qdc ;;
gzip) gzip -dc ;;
none) cat ;;
*) echo "unknown compression '$filter'" >&2 && exit 1 ;;
esac | nix-store --import >&2
