# Runs the whole with containers: two PostgreSQL servers, Kafka, the streamer, the sink, up to WRITER COMPLETE.
# $env:PIPELINE = "debezium" puts Kafka Connect with Debezium in the streamer's place.
# Without a container engine on Windows: run scripts/start-all.sh inside WSL.
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")
. (Join-Path $PSScriptRoot "engine.ps1")

$pipeline = if ($env:PIPELINE) { $env:PIPELINE } else { "streamer" }
if ($pipeline -notin "streamer", "debezium") { throw "PIPELINE=$pipeline is not known: streamer or debezium" }

$env:COMPOSE_PROFILES = $pipeline
Invoke-Compose up --build --detach
Write-Host "waiting for the sink ..."
$shown = 0
while ($true) {
    # What the sink logs beside its steps goes to standard error.
    $log = @(& $script:Engine logs headwater-sink 2> $null)
    if ($log.Count -gt $shown) {
        $log[$shown..($log.Count - 1)] | Write-Host
        $shown = $log.Count
    }
    if ($log -match "WRITER COMPLETE") { break }
    if ((& $script:Engine inspect --format "{{.State.Status}}" headwater-sink) -eq "exited") {
        & $script:Engine logs --tail 20 headwater-sink
        throw "the sink has ended; its last words stand above"
    }
    Start-Sleep -Seconds 1
}
Write-Host @"

Everything runs. Try it:

  a live insert     scripts\psql.ps1 postgres1 -c "INSERT INTO devices(service_tag,device_name,device_type_id,model,ip_address,health_status) VALUES('MYTEST','test.local',1,'PowerEdge R750','10.99.1.1','OK')"
  and here it is    scripts\psql.ps1 postgres2 -c "SELECT * FROM devices WHERE service_tag = 'MYTEST'"
  compare all       scripts\verify.ps1
  Redpanda Console  http://localhost:8080
  the pages         http://localhost:8083 (the streamer), http://localhost:8084 (the sink)
  the connector     curl http://localhost:8083/connectors/ome-connector/status
  the sink          curl http://localhost:8084/health
  stop everything   scripts\stop-all.ps1
"@
