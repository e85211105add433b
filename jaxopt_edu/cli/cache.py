"""Compiled programs are kept between two commands, so that the second one need not compile."""

import os
from pathlib import Path

import jax


def keep_compiled_programs() -> None:
    """Turn JAX's compilation cache on, in the user's cache folder, unless a folder is set already.

    JAX_COMPILATION_CACHE_DIR names another folder, JAX_ENABLE_COMPILATION_CACHE=false turns it off.
    """
    if jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    home = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(home) if home else Path.home() / ".cache") / "jaxopt-edu"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # such as a home that cannot be written: the command is slower, and works
    jax.config.update("jax_compilation_cache_dir", str(folder))
    # By default only what took a second is kept, and a race is many programs of less.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
