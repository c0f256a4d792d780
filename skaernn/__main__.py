"""The command ``python -m skaernn``: a tour on real data."""

import argparse
from pathlib import Path

FORMATS = (".pdf", ".png", ".svg")


def parser():
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(
        prog="python -m skaernn",
        description=(
            "A tour of skaernn in about a minute: PCA and AutoencoderTransformer on handwritten "
            "digits, before a classifier and in a grid search, to denoise, generate and find what "
            "is strange; RNNSequenceClassifier on spoken vowels of unequal length; "
            "RNNSequenceRegressor on a year of CO2. All data ship inside scikit-learn and "
            "skaernn. Prints tables; draws three pictures where matplotlib is installed."
        ),
    )
    result.add_argument(
        "--device",
        default="cpu",
        help="where to train: cpu, cuda, auto (CUDA where there is one) or any other device "
        "of torch (default: %(default)s)",
    )
    result.add_argument(
        "--output",
        default=Path("skaernn_tour.png"),
        type=picture_path,
        metavar="PATH",
        help="the first picture to write: .png, .svg or .pdf; the others, of the family and of "
        "sequences, go beside it (default: %(default)s)",
    )
    return result


def picture_path(text):
    """Return the path, if a picture can be written there."""
    path = Path(text)
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {', '.join(FORMATS)}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


def refusal(device):
    """Return why nothing can be trained on the device; None if it can be."""
    if device == "cpu":
        return None
    from skaernn import AutoencoderTransformer

    probe = AutoencoderTransformer(
        n_components=1, hidden_layer_sizes=(), max_iter=1, random_state=0, device=device
    )
    try:
        probe.fit([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    except (ValueError, RuntimeError) as error:
        return str(error)
    return None


def main(arguments=None):
    """Run the tour."""
    command = parser()
    options = command.parse_args(arguments)
    reason = refusal(options.device)
    if reason is not None:
        command.error(f"argument --device: {reason}")

    from skaernn._tour import tour

    try:
        tour.run(device=options.device, picture=options.output)
    except KeyboardInterrupt:
        command.exit(130, "\nInterrupted.\n")


if __name__ == "__main__":
    main()
