# Runs the whole with containers: two PostgreSQL servers, Kafka, the streamer, the sink, up to WRITER COMPLETE.
# $env:PIPELINE = "debezium" puts Kafka Connect with Debezium in the streamer's place.
# Without a container engine on Windows: run scripts/start-all.sh inside WSL.
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
. (Join-Path $PSScriptRoot "engine.ps1")

$pipeline = if ($env:PIPELINE) { $env:PIPELINE } else { "streamer" }
if ($pipeline -notin "streamer", "debezium") { throw "PIPELINE=$pipeline is not known: streamer or debezium" }

Invoke-Compose --profile $pipeline up --build --detach
Write-Host "waiting for the sink ..."
$shown = 0
while ($true) {
    $log = @(Invoke-Compose --profile $pipeline logs --no-log-prefix sink)
    if ($log.Count -gt $shown) {
        $log[$shown..($log.Count - 1)] | Write-Host
        $shown = $log.Count
    }
    if ($log -match "WRITER COMPLETE") { break }
    if (@(Invoke-Compose --profile $pipeline ps --services --status running) -notcontains "sink") {
        throw "the sink has ended; its last words stand above"
    }
    Start-Sleep -Seconds 1
}
Write-Host @"

Everything runs. Try it:

  compare all       scripts\verify.ps1
  Redpanda Console  http://localhost:8080
  the connector     curl http://localhost:8083/connectors/ome-connector/status
  stop everything   scripts\stop-all.ps1
"@
