# fish completion for rel: rel completion fish > ~/.config/fish/completions/rel.fish
function __rel_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l rel $words[1]
    set -e words[1]
    set -l lines ($rel __complete -- $words "$current" 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$current")
    else
        printf '%s\n' $lines
    end
end
complete -c rel -f -k -a '(__rel_complete)'
