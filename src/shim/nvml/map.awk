# Makes the linker's version script of one driver branch from nvml_calls.def: what that branch exports, and nothing
# else. The real library has no symbol versions, so the script is anonymous. Use: awk -v branch=535 -f map.awk nvml_calls.def
BEGIN {
    print "{ global:"
    print "nvmlErrorString; nvmlInternalGetExportTable;"
}
/^(CALL|ALIAS)\(/ {
    split($0, part, /[(,] */)
    if (part[3] + 0 <= branch)
        print part[2] ";"
}
END { print "local: *; };" }
