# Write store paths to standard output: a line that names the compression, then
# what nix-store --import reads.
#
# In: ACCEPT (the compressions the other side can undo, best first); store
# paths, references first, one a line.
set -eu
export_all() {
    if xargs nix-store --export; then echo 0 >&3; else echo 1 >&3; fi
}
echo "$filter"
# A pipe hides how its first command ended, and a cut export looks like a
# short one: the status goes around it.
{ status=$({ export_all | pack >&4; } 3>&1); } 4>&1
exit "$status"
