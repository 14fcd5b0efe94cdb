# The main job: environment, then `livespot sim`. Arguments go to it: .\scripts\run.ps1 --for 3m
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')
& (Join-Path $PSScriptRoot 'environment.ps1')
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
& .\.venv\Scripts\python.exe -P -m livespot_cmd.main sim @args
exit $LASTEXITCODE
