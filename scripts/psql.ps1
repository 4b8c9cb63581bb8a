# psql on one of the two databases: scripts\psql.ps1 postgres1 -c "SELECT count(*) FROM devices"
# A plain parameter list: a declared one would take psql's -c for its own.
param([string] $Server)
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
. (Join-Path $PSScriptRoot "engine.ps1")

if ($Server -notin "postgres1", "postgres2") { throw "usage: scripts\psql.ps1 postgres1|postgres2 [psql's arguments]" }

& $script:Engine exec --interactive "headwater-$Server" psql -U postgres omedb @args
exit $LASTEXITCODE
