# Dot-sourced by the other scripts: the container engine that runs here, and the three folders together.

function Find-Engine {
    foreach ($engine in "docker", "podman") {
        if (Get-Command $engine -ErrorAction SilentlyContinue) {
            & $engine info *> $null
            if ($LASTEXITCODE -eq 0) { return $engine }
        }
    }
    throw "neither docker nor podman runs here. Start one of them, or run scripts/start-all.sh inside WSL, which can do without"
}

$script:Engine = Find-Engine

# The pipeline's comes first: compose takes .env from the first file's folder.
function Invoke-Compose {
    & $script:Engine compose -f compose/pipeline/compose.yaml -f compose/reader/compose.yaml -f compose/writer/compose.yaml @args
    if ($LASTEXITCODE -ne 0) { throw "$script:Engine compose $args failed; its own message stands above" }
}
