# Answer whether this host reaches another's sshd, and which key that shows. It
# changes nothing.
#
# In: HOST PORT, TYPE (of the key to ask for; empty: any).
# Out: key=<type> <key>, or error=.
set -eu
command -v ssh-keyscan >/dev/null 2>&1 || { echo "error=there is no ssh-keyscan" && exit 0; }
said=$(timeout 20 ssh-keyscan -T 8 ${TYPE:+-t "$TYPE"} -p "$PORT" -- "$HOST" 2>&1 || true)
keys=$(printf '%s\n' "$said" | sed -n 's/^[^# ][^ ]* \([a-z0-9@.-]* AAAA[^ ]*\).*/key=\1/p')
if [ -n "$keys" ]; then
    printf '%s\n' "$keys"
else
    printf '%s\n' "$said" | sed -n '/^#/!s/^/error=/p' | tail -n 1
fi
