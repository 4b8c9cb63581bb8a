# Compares every table of postgres1 with postgres2, then times a live insert from one to the other.
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
. (Join-Path $PSScriptRoot "engine.ps1")

& $script:Engine exec headwater-sink sink verify --wait 30 --live-insert /etc/headwater/live-insert.sql @args
exit $LASTEXITCODE
