# Answer what a target serves: links to programs, the units that run them, and where those
# listen. It changes nothing. Without root it does not see the sockets of others.
#
# In: REPO.
# Out: root= (yes or no), checkout= (yes or no), head=; link=<link><tab><what it points
# at><tab><where that ends> (-, if nothing is there); unit=<name><tab><type><tab><state><tab><its program><tab><the
# file that its main process runs><tab><units it comes after><tab><its command> (with - for
# what is not known); wanted=<link> (that a unit runs, and that is not there);
# template=<name><tab><its command>; port=<unit><tab><address:port, as in /proc/net/tcp>.
set -euf
tab=$(printf '\t')
newline='
'
if [ "$(id -u)" = 0 ]; then echo "root=yes"; else echo "root=no"; fi
if [ -n "$REPO" ] && [ -e "$REPO/.git" ]; then
    echo "checkout=yes"
    # Root reads it as well, which Git would keep it from.
    git -c safe.directory="$REPO" -C "$REPO" rev-parse --quiet --verify HEAD 2>/dev/null | sed 's/^/head=/' || true
else
    echo "checkout=no"
fi

# tell LINK [STORE]: say where a link leads; with STORE, only if that is in the Nix store.
# known has every link and every store path that is led to, a line each.
known=
tell() {
    [ -L "$1" ] || return 0
    to=$(readlink "$1")
    { [ -e "$1" ] && end=$(readlink -f "$1"); } || end=-
    case $1$to$end in *[[:cntrl:]]*) return 0 ;; esac
    # One whose store path was collected is still known by its name.
    leads=$end
    [ "$end" != - ] || leads=$to
    case $leads in
    /nix/store/*/*)
        path=${leads#/nix/store/}
        known=$known/nix/store/${path%%/*}/$newline
        ;;
    *) [ -z "${2-}" ] && [ -f "$end" ] && [ -x "$end" ] || return 0 ;;
    esac
    known=$known$1$newline
    printf 'link=%s\t%s\t%s\n' "$1" "$to" "$end"
}
set +f
for link in /opt/*/bin/*; do tell "$link"; done
for link in /srv/*/bin/* /usr/local/bin/*; do tell "$link" store; done
set -f

# has LINK: whether it is among them.
has() { case $newline$known in *"$newline$1$newline"*) ;; *) return 1 ;; esac }

# uses TEXT: whether it may name one of them.
uses() {
    rest=$known
    while [ -n "$rest" ]; do
        case $1 in *"${rest%%"$newline"*}"*) return 0 ;; esac
        rest=${rest#*"$newline"}
    done
    return 1
}

# wanted PROGRAM: say so, if it is a link that is still to be made.
wanted() {
    case $1 in
    /opt/*/bin/* | /srv/*/bin/*) ;;
    *) return 0 ;;
    esac
    if [ -e "$1" ] || [ -L "$1" ] || has "$1"; then return 0; fi
    known=$known$1$newline
    printf 'wanted=%s\n' "$1"
}

# listens PID CGROUP: the sockets that the processes in a cgroup listen on. One with a
# network of its own is not asked: nobody else reaches it.
listens() {
    [ "$(readlink "/proc/$1/ns/net")" = "$(readlink /proc/self/ns/net)" ] || return 0
    sockets=$(for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd; do
        [ ! -e "$tree$2/cgroup.procs" ] || find "$tree$2" -name cgroup.procs -exec cat {} + 2>/dev/null
    done | sort -un | sed 64q | while read -r pid; do
        # shellcheck disable=SC2012 # what it is to show is links to sockets
        ls -l "/proc/$pid/fd" 2>/dev/null | sed -n 's/.*socket:\[\([0-9]*\)\]$/\1/p'
    done | tr '\n' ' ')
    cat "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null | awk -v sockets="$sockets" '
        BEGIN { n = split(sockets, list, " "); for (i = 1; i <= n; i++) own[list[i]] = 1 }
        $4 == "0A" && ($10 in own) && !told[$2]++ { print $2 }' | sed 20q
}

# unit NAME TYPE STATE PID CGROUP PROGRAM AFTER COMMAND: say what it is, if it runs what a
# link leads to, or would.
unit() {
    file=-
    [ "$4" = 0 ] || file=$(readlink "/proc/$4/exe" 2>/dev/null) || file=-
    case $6 in
    # Programs of the system, some of which lead to the store on NixOS.
    /nix/* | /run/* | /etc/* | /bin/* | /sbin/* | /lib/* | /usr/bin/* | /usr/sbin/* | /usr/lib/*) ;;
    *) has "$6" || tell "$6" store ;;
    esac
    wanted "$6"
    uses "$8" || uses "$file" || return 0
    printf 'unit=%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$6" "$file" "$7" "$8"
    [ "$4" = 0 ] || listens "$4" "$5" | while read -r address; do printf 'port=%s\t%s\n' "$1" "$address"; done
}

[ -d /run/systemd/system ] || exit 0
services() { awk '{ for (i = 1; i <= 2; i++) if ($i ~ /\.service$/) { print $i; break } }' | sort -u; }
files=$(systemctl list-unit-files --type=service --no-legend --no-pager | services)
names=$({
    printf '%s\n' "$files" | grep -v '@\.service$' || true
    systemctl list-units --all --type=service --plain --no-legend --no-pager | services
} | sort -u)
# The name of a unit has no blank in it.
# shellcheck disable=SC2086
systemctl show --no-pager --property=Id,Type,ActiveState,MainPID,ControlGroup,After,ExecStart -- $names 2>/dev/null | awk '
    function known(key) { return value[key] == "" ? "-" : value[key] }
    function row() {
        if (match(value["ExecStart"], /path=[^ ;]+/)) value["program"] = substr(value["ExecStart"], RSTART + 5, RLENGTH - 5)
        print known("Id") "\t" known("Type") "\t" known("ActiveState") "\t" value["MainPID"] + 0 "\t" known("ControlGroup") \
            "\t" known("program") "\t" known("After") "\t" known("ExecStart")
        split("", value)
    }
    /^$/ { row(); next }
    { at = index($0, "="); gsub(/\t/, " "); key = substr($0, 1, at - 1)
      value[key] = value[key] (value[key] == "" ? "" : " ") substr($0, at + 1) }
    END { if ("Id" in value) row() }' | {
    while IFS=$tab read -r name type state pid cgroup program after command; do
        unit "$name" "$type" "$state" "$pid" "$cgroup" "$program" "$after" "$command"
    done
    # Of a template it cannot be known which of its units there will be.
    # shellcheck disable=SC2046
    systemctl cat --no-pager -- $(printf '%s\n' "$files" | grep '@\.service$') 2>/dev/null | awk '
        /^# \/.*\/[^\/]*@\.service$/ { name = $0; sub(/.*\//, "", name) }
        /^ExecStart=/ && name != "" { sub(/^ExecStart=[-@:+!|]*/, ""); gsub(/\t/, " "); print name "\t" $0 }' |
        while IFS=$tab read -r template command; do
            wanted "${command%% *}"
            ! uses "$command" || printf 'template=%s\t%s\n' "$template" "$command"
        done
}
