# Real trading: environment, then `livespot live --live`. Arguments go to it: .\scripts\live.ps1 --confirm LABEL
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')
& (Join-Path $PSScriptRoot 'environment.ps1')
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
& .\.venv\Scripts\python.exe -P -m livespot_cmd.main live --live @args
exit $LASTEXITCODE
