"""Room of the tour on the family: digits without their noise, new digits, a digit never seen."""

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from skaernn import AutoencoderTransformer, VariationalAutoencoderTransformer

from .words import fit_watched, heading, say, table

NOISE = 4.0  # grey levels of 16
EPOCHS = 100
SIZE = 16  # of all codes here but the strange digit's
STRANGE = 3
STRANGE_SIZE = 8
ENDS = (0, 1)  # the digits that a line is drawn between
DRAWN = 10


class Family(NamedTuple):
    """What the picture shows, images of 64 pixels a row."""

    clean: np.ndarray
    noisy: np.ndarray
    denoised: np.ndarray
    generated: np.ndarray
    between: np.ndarray


def visit(digits, device):
    """Show the room, given the digits of the first one; return what its picture needs."""
    heading("Denoising, generating, finding what is strange")
    say(
        f"The same digits, {EPOCHS} epochs a fit. A denoising autoencoder learns from clean "
        "images that are corrupted while it trains; a variational one learns a distribution, "
        "of which it draws new images and gives a bound on the likelihood of any."
    )
    denoiser, noisy, denoised = remove_noise(digits, device)
    vae = fit_variational(digits, device)
    find_strange(digits, device)
    return Family(
        clean=digits.X_test[:DRAWN],
        noisy=noisy[:DRAWN],
        denoised=denoised[:DRAWN],
        generated=vae.sample(DRAWN, random_state=0),
        between=interpolate(denoiser, digits),
    )


def autoencoder(size, device, **params):
    """Return an autoencoder as this room has them."""
    return AutoencoderTransformer(size, max_iter=EPOCHS, random_state=0, device=device, **params)


# Denoising


def remove_noise(digits, device):
    """Fit a plain and a denoising autoencoder; print what they and PCA make of noisy images."""
    noisy = digits.X_test + np.random.default_rng(0).normal(0, NOISE, digits.X_test.shape)
    plain = autoencoder(SIZE, device)
    denoiser = autoencoder(SIZE, device, corruption="gaussian", corruption_level=NOISE)
    pca = PCA(SIZE, random_state=0).fit(digits.X_train)
    for model, label in ((plain, "autoencoder"), (denoiser, "denoising autoencoder")):
        fit_watched(model, digits.X_train, None, label)
    print()
    say(
        f"Mean squared error to the clean held-out images, to which noise of {NOISE:g} grey "
        f"levels was added (lower is better; codes of {SIZE} numbers):"
    )
    models = {"PCA": pca, "autoencoder": plain, "denoising autoencoder": denoiser}
    restored = {
        name: model.inverse_transform(model.transform(noisy)) for name, model in models.items()
    }
    rows = [["the noisy images", f"{np.mean((noisy - digits.X_test) ** 2):.2f}"]]
    rows += [
        [name, f"{np.mean((images - digits.X_test) ** 2):.2f}"]
        for name, images in restored.items()
    ]
    table(["", "error"], rows)
    return denoiser, noisy, restored["denoising autoencoder"]


# Generating


def fit_variational(digits, device):
    """Fit a variational autoencoder; print its bounds beside PCA's likelihood."""
    vae = VariationalAutoencoderTransformer(SIZE, max_iter=EPOCHS, random_state=0, device=device)
    fit_watched(vae, digits.X_train, None, "variational autoencoder")
    pca = PCA(SIZE, random_state=0).fit(digits.X_train)
    bound = vae.score_samples(digits.X_test).mean()
    tighter = vae.score_samples(digits.X_test, n_importance_samples=50).mean()
    print()
    say(
        "Log-likelihood of a held-out image in nats (higher is better): "
        f"{pca.score(digits.X_test):.1f} by PCA, which has it exactly; by the variational "
        f"autoencoder at least {bound:.1f}, and by a tighter bound at least {tighter:.1f}. Of "
        f"its {SIZE} components {vae.n_active_components_} are in use."
    )
    return vae


def interpolate(model, digits):
    """Return images along the line between the codes of two held-out digits."""
    rows = [int(np.flatnonzero(digits.y_test == digit)[0]) for digit in ENDS]
    first, last = model.transform(digits.X_test[rows])
    return model.inverse_transform(np.linspace(first, last, DRAWN))


# Finding what is strange


def find_strange(digits, device):
    """Fit to nine digits; print how well the tenth and shuffled images are told from them."""
    known = digits.X_train[digits.y_train != STRANGE]
    detector = autoencoder(STRANGE_SIZE, device)
    fit_watched(detector, known, None, f"autoencoder that never sees a {STRANGE}")
    pca = PCA(STRANGE_SIZE, random_state=0).fit(known)
    scores = {"PCA": pca_scores(pca), "autoencoder": detector.score_samples}
    rows = [[name, *areas(score, digits)] for name, score in scores.items()]
    print()
    say(
        f"How well the reconstruction error, of codes of {STRANGE_SIZE} numbers, tells what is "
        "strange from held-out images of the other digits: area under the curve (1 is perfect, "
        f".5 is chance) for the {STRANGE}, and for the same images with their pixels shuffled:"
    )
    table(["", f"a {STRANGE}, never seen", "shuffled pixels"], rows)


def pca_scores(pca):
    """Return PCA's `score_samples` by the reconstruction error."""
    return lambda X: -((pca.inverse_transform(pca.transform(X)) - X) ** 2).mean(1)


def areas(score, digits):
    """Return both areas under the curve of a function that is low where a row is strange."""
    known = digits.y_test != STRANGE
    normal = digits.X_test[known]
    shuffled = np.random.default_rng(0).permuted(normal, axis=1)
    truth = np.repeat([1, 0], len(normal))
    never_seen = roc_auc_score(known, score(digits.X_test))
    easy = roc_auc_score(truth, score(np.concatenate([normal, shuffled])))
    return f"{never_seen:.3f}", f"{easy:.3f}"


# The picture


def draw(figure, family):
    """Draw a line of images for each way to get them."""
    lines = {
        "held out": family.clean,
        f"with noise\nof {NOISE:g} levels": family.noisy,
        "denoised": family.denoised,
        "generated": family.generated,
        f"from a {ENDS[0]}\nto a {ENDS[1]}": family.between,
    }
    axes = figure.subplots(len(lines), DRAWN)
    for line, (label, images) in zip(axes, lines.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    figure.suptitle(
        "Digits without their noise, new digits, and digits between two", weight="bold"
    )
