# Stops what start-all.ps1 started, and removes its data.
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
. (Join-Path $PSScriptRoot "engine.ps1")

$env:COMPOSE_PROFILES = "streamer,debezium"
Invoke-Compose down --volumes
