# Have Nix's own copy send closures to a target from here. The input ends when nobody wants
# it any more.
#
# In: rows "root <store path>", as weave.sh has them. It tells ssh=<how it ended>, said=<ssh's
# own words>.
set -eu
make_work
take_rows
: >"$work/taken"
ready_login
case $ADDRESS in *:*) ADDRESS="[$ADDRESS]" ;; esac
copy() {
    NIX_SSHOPTS=$options
    export NIX_SSHOPTS
    set -f
    # shellcheck disable=SC2046 # one word each
    exec nix --extra-experimental-features nix-command copy --log-format internal-json --no-check-sigs --to "ssh-ng://$LOGIN@$ADDRESS" $(of root) </dev/null
}
exec 5<&0
{ exec 6>&2 && until_unwanted copy; } 2>&1 | sparse >&2
tell "sent=0"
