# Turns a values.yaml into a Markdown table: a comment `# -- text` says what the next key means.
BEGIN {
  print ""
  print "| Value | Default | Meaning |"
  print "|---|---|---|"
}
/^ *# -- / {
  meaning = $0
  sub(/^ *# -- /, "", meaning)
  next
}
/^ *#/ {
  if (meaning != "") {
    more = $0
    sub(/^ *# */, "", more)
    meaning = meaning " " more
  }
  next
}
/^ *[A-Za-z][A-Za-z0-9]*:/ {
  match($0, /^ */)
  depth = RLENGTH / 2
  key = $1
  sub(/:.*/, "", key)
  path[depth] = key
  full = path[0]
  for (i = 1; i <= depth; i++) full = full "." path[i]
  value = $0
  sub(/^ *[A-Za-z0-9]*: */, "", value)
  if (meaning != "") {
    gsub(/\|/, "\\|", meaning)
    printf "| `%s` | %s | %s |\n", full, (value == "" ? "" : "`" value "`"), meaning
  }
  meaning = ""
}
