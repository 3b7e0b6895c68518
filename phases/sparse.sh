# What the scripts share that have Nix itself copy.

# sparse: Nix's internal-json log, with what is heeded of it. How far a path is comes with
# every 8 KiB, of which one number in 25 ends with two zeros. Where sed has no -u, as
# busybox's, it comes in lumps.
sparse() {
    line=-u
    sed -u p </dev/null 2>/dev/null || line=
    # shellcheck disable=SC2086 # it may be none
    sed $line -e '/^@nix.*"type":106}$/d' -e '/^@nix.*"fields":\[[0-9]*,[0-9]*,0,0\].*"type":105}$/{' -e '/"fields":\[[0-9]*00,/!d' -e '}'
}
