# Dot-sourced by the other scripts: the container engine that runs here.

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

function Invoke-Compose {
    & $script:Engine compose -f compose/compose.yaml @args
}
