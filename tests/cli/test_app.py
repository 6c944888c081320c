import errno
import subprocess
import sys
import warnings

import pytest
import typer
from typer.testing import CliRunner

import restorekit
from restorekit.cli.app import app
from restorekit.cli.failures import reported

VERBS = ("restore", "train", "eval", "degrade", "models")


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("arguments", [["--help"], ["models", "list"], ["train", "--help"]])
def test_what_needs_no_net_does_not_import_torch(arguments):
    result = python("-X", "importtime", "-m", "restorekit", *arguments)
    assert result.returncode == 0, result.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "restorekit.cli.app" in imported
    assert not imported & {"torch", "cv2", "scipy", "skimage"}


def test_help_names_every_verb():
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(verb in output for verb in VERBS)


def test_version():
    assert restorekit.__version__ in CliRunner().invoke(app, ["--version"]).output


def test_an_error_is_one_line_and_debug_shows_where_it_came_from(tmp_path):
    missing = str(tmp_path / "missing.jpg")
    arguments = ["-m", "restorekit", "restore", missing, "--task", "derain"]
    plain = python(*arguments)
    assert plain.returncode == 2
    assert plain.stderr.startswith(f"error: {missing}")
    assert len(plain.stderr.splitlines()) == 1
    debug = python("-m", "restorekit", "--debug", *arguments[2:])
    assert debug.returncode == 2
    assert "Traceback" in debug.stderr


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room"),
        (PermissionError(errno.EACCES, "Permission denied", "a.png"), "a.png: Permission denied"),
        (OSError("odd"), "odd"),
    ],
)
def test_an_error_of_the_system_is_one_line(capsys, error, said):
    with pytest.raises(typer.Exit) as ended, reported(debug=False):
        raise error
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_a_closed_pipe_is_left_to_typer():
    with pytest.raises(BrokenPipeError), reported(debug=False):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_a_warning_is_one_line(capsys):
    with reported(debug=False):
        warnings.warn("the weights do not tell", stacklevel=1)
    assert capsys.readouterr().err == "warning: the weights do not tell\n"


def test_debug_shows_why_a_file_of_a_batch_failed(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    arguments = ["restore", str(broken), "--task", "denoise"]
    assert "Traceback" not in python("-m", "restorekit", *arguments).stderr
    assert "Traceback" in python("-m", "restorekit", "--debug", *arguments).stderr
