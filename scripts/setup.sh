# Sourced by scripts/demo, scripts/test and scripts/docs: makes .venv with the pinned packages, once.
#   setup_venv EXTRA…   installs voxgan_jax with these extras and leaves its Python in $python
# PYTHON=… chooses the interpreter; otherwise the newest of Python 3.13 to 3.11 found is taken.

suits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

has_venv() {
  "$1" -c 'import venv, ensurepip' 2>/dev/null
}

# From the newest on, as only 3.12 and later have the newest JAX. Of pyenv's, PATH has commands
# that run the chosen version alone.
known_pythons() {
  local minor
  for minor in 13 12 11; do
    echo "python3.$minor"
    printf '%s\n' "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python | sort -rV
  done
  echo python3
}

# One that can make .venv by itself, if there is any.
find_python() {
  local candidate enough IFS=$'\n'
  for enough in has_venv true; do
    for candidate in ${PYTHON:-$(known_pythons)}; do
      if suits "$candidate" && "$enough" "$candidate"; then
        echo "$candidate"
        return
      fi
    done
  done
  candidate=${PYTHON:-python3}
  cat >&2 <<EOT
voxgan_jax needs Python 3.11, 3.12 or 3.13; $candidate is $("$candidate" --version 2>/dev/null || echo 'not there').
On Debian 12 and 13 and Ubuntu 24.04: apt-get install python3 python3-venv (as root).
Elsewhere install one of the three and name it: PYTHON=… $0
EOT
  return 1
}

# The CUDA build of JAX that fits driver and cards; the CPU build needs no extra.
cuda_extra() {
  local asked=${python:-}
  command -v nvidia-smi >/dev/null || return 0
  suits "$asked" || asked=$(find_python) || return 1
  "$asked" -c 'from voxgan_jax.devices.accelerator import cuda_extra; print(cuda_extra() or "")'
}

# What is installed has to be done again where any of this changes.
setup_state() {
  echo "$1 $(pwd -P) $("$python" --version 2>&1) $(cat pyproject.toml constraints.txt | cksum)"
}

# A .venv that was moved is of no use: its programs name the folder where it was made.
venv_is_sound() {
  suits "$python" && "$python" -m pip --version >/dev/null 2>&1 &&
    grep -qF "$(pwd -P)/.venv" .venv/bin/activate
}

# make_venv PYTHON [FOLDER]
make_venv() {
  local base=$1 folder=${2:-.venv} version
  if has_venv "$base"; then
    "$base" -m venv --clear "$folder"
  elif ! "$base" -m pip install --quiet --user virtualenv 2>/dev/null ||
    ! "$base" -m virtualenv --quiet --clear "$folder"; then
    version=$("$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "$base has no venv module, which makes $folder. On Debian and Ubuntu, as root:" >&2
    echo "  apt-get install python$version-venv" >&2
    return 1
  fi
}

# What pip is busy with, in one line, on a terminal only: it can take long on a slow network.
show_progress() {
  local line
  while IFS= read -r line; do
    case "$line" in
      Collecting* | *Downloading* | Installing*) [ ! -t 1 ] || printf '\r\033[K  %.76s' "${line#"${line%%[! ]*}"}" ;;
    esac
  done
  [ ! -t 1 ] || printf '\r\033[K'
}

setup_venv() {
  local base extras size
  python=.venv/bin/python
  extras=$(printf '%s\n' "$@" "$(cuda_extra)" | sed '/^$/d' | paste -sd, -)
  [ "$(cat ".venv/.setup-$extras" 2>/dev/null)" = "$(setup_state "$extras")" ] && return
  if ! [ -w . ]; then
    echo "$PWD cannot be written; .venv and what is made go there: clone it to a folder of yours" >&2
    return 1
  fi
  if ! venv_is_sound; then
    base=$(find_python) || return 1
    make_venv "$base" || return 1
  fi
  case ",$extras," in
    *,gpu-check,*) size="1.1 GB to download and 4 GB" ;;
    *,dev,*) size="0.7 GB to download and 3.2 GB" ;;
    *,train,*) size="0.6 GB to download and 2.6 GB" ;;
    *) size="0.2 GB to download and 1 GB" ;;
  esac
  echo "Installing into .venv ($("$python" --version)${extras:+, extras: $extras}): $size on the disk," \
    "more for a GPU; a minute or two on a fast network …"
  # Debian 12's pip warns of every package without a wheel unless it is told to build one.
  if ! "$python" -m pip install --disable-pip-version-check --use-pep517 --progress-bar off \
    -c constraints.txt -e ".${extras:+[$extras]}" | show_progress; then
    echo "The packages could not be installed; what pip says is above. If the network or the disk" \
      "failed, run $0 again: it goes on." >&2
    return 1
  fi
  setup_state "$extras" >".venv/.setup-$extras"
}
