# Creates or refreshes .venv from a hashed lock file, as scripts/environment does. Usage: environment.ps1 [dev|research]
param([string]$Kind = 'run')
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')

$python = '.\.venv\Scripts\python.exe'
$lock = if ($Kind -eq 'run') { 'scripts/requirements.lock' } else { "scripts/requirements-$Kind.lock" }

# A program that ends with a code other than 0 does not stop PowerShell by itself.
function Invoke-Checked([string]$Program, [string[]]$Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

function Get-Stamp([string]$Path) {
    $code = "import hashlib, sys; print(hashlib.sha256(b''.join(open(p, 'rb').read() for p in sys.argv[1:])).hexdigest())"
    & $python -c $code $Path 'scripts/bootstrap.lock'
}

function Test-Stamp([string]$Name, [string]$Stamp) {
    $file = ".venv/.livespot-$Name"
    (Test-Path $file) -and ((Get-Content $file -TotalCount 1) -eq $Stamp)
}

if (-not (Test-Path $python)) {
    $found = $null
    foreach ($candidate in @($env:PYTHON, 'py', 'python3', 'python')) {
        if (-not $candidate -or -not (Get-Command $candidate -ErrorAction SilentlyContinue)) { continue }
        & $candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))'
        if ($LASTEXITCODE -eq 0) { $found = $candidate; break }
    }
    if (-not $found) {
        [Console]::Error.WriteLine('livespot needs Python 3.11 or newer and found none on PATH. Install one, or set PYTHON to it.')
        exit 2
    }
    Write-Host 'Creating .venv ...'
    Invoke-Checked $found @('-m', 'venv', '.venv')
}

# A stamp of the lock and the packaging file: an unchanged environment costs nothing at start.
$stamp = Get-Stamp $lock
if (Test-Stamp $Kind $stamp) { exit 0 }
# Environments for development and research hold everything a run needs.
foreach ($other in @('dev', 'research')) {
    if ($Kind -eq 'run' -and (Test-Stamp $other (Get-Stamp "scripts/requirements-$other.lock"))) { exit 0 }
}

Write-Host "Installing from $lock ..."
$pip = @('-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--require-hashes', '-r', 'scripts/bootstrap.lock')
Invoke-Checked $python $pip
Invoke-Checked $python @('-m', 'uv', 'pip', 'sync', '--quiet', '--python', $python, '--require-hashes', $lock)
Invoke-Checked $python $pip
# The build backend is in no lock file, so the project itself is linked by path files, not built.
@'
import pathlib, sysconfig
root = pathlib.Path.cwd()
site = pathlib.Path(sysconfig.get_paths()["purelib"])
(site / "livespot.pth").write_text(f"{root / 'internal'}\n{root / 'cmd'}\n", encoding="utf-8")
script = pathlib.Path(sysconfig.get_paths()["scripts"]) / "livespot.cmd"
script.write_text('@"%~dp0python.exe" -P -m livespot_cmd.main %*\n', encoding="ascii")
'@ | & $python -
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
Remove-Item -Force -ErrorAction SilentlyContinue '.venv/.livespot-run', '.venv/.livespot-dev', '.venv/.livespot-research'
Set-Content -Path ".venv/.livespot-$Kind" -Value $stamp -Encoding ascii
exit 0
