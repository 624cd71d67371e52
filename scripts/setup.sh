# Sourced by scripts/demo and scripts/test: makes .venv with the pinned packages, once.
#   setup_venv EXTRA…   installs voxgan_jax with these extras and leaves its Python in $python
# PYTHON=… chooses the interpreter; otherwise the first of Python 3.11 to 3.13 found is taken.

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "voxgan_jax needs Python 3.11, 3.12 or 3.13; install one, or name it: PYTHON=… $0" >&2
  return 1
}

# The CUDA build of JAX where an NVIDIA driver is there; the CPU build needs no extra.
cuda_extra() {
  local driver
  driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
  driver=${driver%%.*}
  case "$driver" in
    '' | *[!0-9]*) ;;
    *) if [ "$driver" -ge 580 ]; then echo cuda13; elif [ "$driver" -ge 525 ]; then echo cuda12; fi ;;
  esac
}

setup_venv() {
  local base extras want
  python=.venv/bin/python
  extras=$(printf '%s\n' "$@" "$(cuda_extra)" | sed '/^$/d' | paste -sd, -)
  want="$extras $(cat pyproject.toml constraints.txt | cksum)"
  [ -x "$python" ] && [ "$(cat ".venv/.setup-$extras" 2>/dev/null)" = "$want" ] && return
  base=$(find_python)
  echo "Installing into .venv ($("$base" --version)${extras:+, extras: $extras}); a minute or two …"
  if [ ! -x "$python" ] && ! "$base" -m venv .venv; then
    rm -rf .venv
    echo "No venv module; trying virtualenv instead (or: apt-get install python3-venv)." >&2
    "$base" -m pip install --quiet --user virtualenv && "$base" -m virtualenv --quiet .venv
  fi
  "$python" -m pip install --quiet --disable-pip-version-check -c constraints.txt \
    -e ".${extras:+[$extras]}"
  echo "$want" >".venv/.setup-$extras"
}
