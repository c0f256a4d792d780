"""Convolutional autoencoders: what they do to images of any shape, and where they start."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from module_networks import SHAPE, VARIANTS, convolutional, random, started, trained
from torch import nn

from skaernn import AutoencoderTransformer, VariationalAutoencoderTransformer
from skaernn._core.noise import dropout_mask, mix
from skaernn.networks import ACTIVATIONS
from skaernn.networks._vectors.convolutional import check_image_shape


class Reorder(nn.Module):
    """Pixels of all channels side by side become whole channels one after another, or back."""

    def __init__(self, *shape, order):
        super().__init__()
        self.shape, self.order = shape, order

    def forward(self, x):
        return x.reshape(len(x), *self.shape).permute(self.order)


def plain(network, module):
    """The same two networks written with torch's own layers, contiguous images."""
    act = ACTIVATIONS[network.activation].module
    (h0, w0, c0), c1, (h2, w2, c2) = SHAPE, 4, (2, 2, 5)
    encoder = nn.Sequential(
        Reorder(h0, w0, c0, order=(0, 3, 1, 2)),
        nn.Conv2d(c0, c1, 3, stride=2, padding=1),
        act(),
        nn.Conv2d(c1, c2, 3, stride=2, padding=1),
        act(),
        Reorder(c2, h2, w2, order=(0, 2, 3, 1)),
        nn.Flatten(),
        nn.Linear(h2 * w2 * c2, 2),
    )
    decoder = nn.Sequential(
        nn.Linear(2, h2 * w2 * c2),
        act(),
        Reorder(h2, w2, c2, order=(0, 3, 1, 2)),
        nn.ConvTranspose2d(c2, c1, 3, stride=2, padding=1),
        act(),
        nn.ConvTranspose2d(c1, c0, 3, stride=2, padding=1, output_padding=(0, 1)),
        Reorder(c0, h0, w0, order=(0, 2, 3, 1)),
        nn.Flatten(),
    )
    for ours, theirs in ((module.encoder, encoder), (module.decoder, decoder)):
        theirs.double()
        weights = list(ours.network.state_dict().values())
        assert len(weights) == len(theirs.state_dict())
        theirs.load_state_dict(dict(zip(theirs.state_dict(), weights, strict=True)))
    return encoder, decoder


@pytest.mark.parametrize("linear_output", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_passes_equal_torch_layers_and_autograd(activation, linear_output):
    network = convolutional(
        activation=activation, code_activation="tanh", output_activation="logistic"
    )
    theta, x = started(network), random(4, network.n_features)
    delta, d_encoded = random(*x.shape, seed=3), random(4, 2, seed=4)
    passes, grad = trained(network, theta, x, delta, d_encoded, linear_output=linear_output)
    encoder, decoder = plain(network, network.module(theta[0]))
    code = encoder(x).tanh()
    output = decoder(code)
    output = output if linear_output else output.sigmoid()
    torch.testing.assert_close(passes.encoded[0], code)
    torch.testing.assert_close(passes.output[0], output)
    ((output * delta).sum() + (code * d_encoded).sum()).backward()
    slots = [p.grad for side in (encoder, decoder) for p in side.parameters()]
    found = network.module(grad[0])
    for (name, parameter), slot in zip(found.named_parameters(), slots, strict=True):
        torch.testing.assert_close(parameter.data, slot, msg=name)


@given(
    st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(1, 4), st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_any_image_comes_back_in_its_shape(height, width, channels, depth, tied):
    network = convolutional((height, width, channels), hidden=(2,) * depth, tied_weights=tied)
    module = network.module(started(network)[0])
    x = random(3, network.n_features)
    assert module.encode(x).shape == (3, 2)
    assert module(x).shape == x.shape
    largest = max(p.numel() for p in module.parameters())
    assert network.largest_product >= largest or largest <= network.n_features


def test_pixels_lie_as_in_an_image_of_numpy():
    network = convolutional((4, 7, 3), hidden=(2,), activation="identity")
    encoder = network.module(started(network)[0]).encoder.network
    image = random(4, 7, 3)
    changed = image.clone()
    changed[3, 6, 1] += 1.0  # the last corner, seen by the last unit alone
    before, after = (encoder[1](encoder[0](i.reshape(1, -1))) for i in (image, changed))
    kernel = encoder[1].weight[:, 1, 2, 1]  # below the centre is outside, beside it too
    difference = (after - before)[0].detach()
    torch.testing.assert_close(difference[:, 1, 3], kernel.detach())
    assert int((difference.abs() > 1e-9).any(0).sum()) == 1


@pytest.mark.parametrize("linear_path", [False, True])
def test_tied_weights_equal_the_same_weights_twice(linear_path):
    tied = convolutional(tied_weights=True, linear_path=linear_path)
    untied = replace(tied, tied_weights=False)
    theta, x = started(tied), random(4, tied.n_features)
    delta = random(*x.shape, seed=3)
    module = tied.module(theta[0])
    inward, outward = module.encoder, module.decoder
    both = untied.module(torch.zeros(untied.layout.size, dtype=torch.float64))
    both.encoder.load_state_dict(inward.state_dict())
    pairs = _mirrored(inward.network, both.decoder.network)
    if linear_path:
        pairs.append((inward.path, both.decoder.path))
    for layer, mirror in pairs:
        mirror.weight.data = layer.weight.data.T if mirror.weight.dim() == 2 else layer.weight.data
    for ours, theirs in zip(_with_bias(outward), _with_bias(both.decoder), strict=True):
        theirs.bias.data = ours.bias.data
    other = torch.zeros(1, untied.layout.size, dtype=torch.float64)
    untied.pack(both, other[0])
    passes, grad = trained(tied, theta, x, delta)
    expected, other_grad = trained(untied, other, x, delta)
    torch.testing.assert_close(passes.output, expected.output)
    slots, others = tied.module(grad[0]), untied.module(other_grad[0])
    pairs = _mirrored(others.encoder.network, others.decoder.network)
    mirrored = _mirrored(slots.encoder.network, others.decoder.network)
    if linear_path:
        pairs.append((others.encoder.path, others.decoder.path))
        mirrored.append((slots.encoder.path, others.decoder.path))
    for (layer, mirror), (ours, _) in zip(pairs, mirrored, strict=True):
        second = mirror.weight.T if mirror.weight.dim() == 2 else mirror.weight
        torch.testing.assert_close(ours.weight, layer.weight + second)
    for ours, theirs in zip(_with_bias(slots.decoder), _with_bias(others.decoder), strict=True):
        torch.testing.assert_close(ours.bias, theirs.bias)


def _mirrored(encoder, decoder):
    kinds = nn.Conv2d, nn.Linear, nn.ConvTranspose2d
    inward = [layer for layer in encoder if isinstance(layer, kinds)]
    outward = [layer for layer in decoder if isinstance(layer, kinds)]
    return list(zip(inward, reversed(outward), strict=True))


def _with_bias(side):
    layers = [*side.network, side.path]
    return [layer for layer in layers if getattr(layer, "bias", None) is not None]


def test_units_of_images_are_dropped_one_by_one():
    network = convolutional(hidden=(4,), dropout=0.3, activation="logistic")
    theta, x = started(network), random(50, network.n_features)
    keys = torch.arange(50)
    passes, _ = trained(network, theta, x, torch.zeros_like(x), draws=(keys, 7, 1))
    seen = []
    passes.module.encoder.network[3].register_forward_hook(lambda m, i, o: seen.append(o))
    passes.forward()
    (units,) = seen
    assert float((units == 0).double().mean()) == pytest.approx(0.3, abs=0.02)
    mask = dropout_mask(keys, mix(7, 1, 0), 3 * 3 * 4, 0.3).view(50, 3, 3, 4)
    assert torch.equal(units.permute(0, 2, 3, 1) == 0, mask == 0)


@pytest.mark.parametrize("options", VARIANTS)
def test_start_is_the_same_for_every_type_and_draws_nothing_else(options):
    network = convolutional(**options)
    state = torch.get_rng_state()
    single, double = (started(network, dtype, 0.0) for dtype in (torch.float32, torch.float64))
    network.module(single[0])
    network.passes(single, None, 3, linear_output=True).forward()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(single.double(), double)
    assert torch.get_default_dtype() == torch.float32


def test_start_is_glorot_and_bars_nothing():
    network = convolutional((9, 9, 3), hidden=(20, 30), n_components=20)
    module = network.module(started(network, away=0.0)[0])
    # at stride 2 a pixel of the larger image meets a quarter of the nine weights of a kernel
    fans = {"encoder.network.1": (27, 45), "encoder.network.3": (180, 67.5)}
    fans |= {"encoder.network.6": (270, 20), "decoder.network.0": (20, 270)}
    fans |= {"decoder.network.3": (67.5, 180), "decoder.network.5": (45, 27)}
    weights = dict(module.named_parameters())
    assert {name.rpartition(".")[0] for name in weights} == set(fans)
    for name, (n_in, n_out) in fans.items():
        for leaf, bound in (("weight", (6 / (n_in + n_out)) ** 0.5), ("bias", n_in**-0.5)):
            largest = float(weights[f"{name}.{leaf}"].detach().abs().max())
            assert largest <= bound, name
            assert largest > 0.2 * bound, name


@pytest.mark.parametrize("activation", ["relu", "softplus"])
@pytest.mark.parametrize("options", [v for v in VARIANTS if v["linear_path"]])
def test_path_alone_speaks_at_the_start(options, activation):
    network = convolutional(activation=activation, **options)
    theta = started(network, away=0.0)
    encode, shift = random(90, network.n_encoded), random(network.n_encoded, seed=3)
    decode, bias = encode[:, :2].T.clone(), random(90, seed=4)
    network.start_path(theta[0], encode, shift, decode, bias)
    x, module = random(5, 90, seed=6), network.module(theta[0])
    torch.testing.assert_close(module.encoder(x), x @ encode + shift)
    expected = (x @ encode + shift)[:, :2] @ decode + bias
    torch.testing.assert_close(module(x), expected)
    _, grad = trained(network, theta, x, module(x).detach() - x)
    moved = network.module(grad[0])
    assert moved.decoder.network[-2].weight.any() if not options["tied_weights"] else grad.any()


def test_penalised_are_the_weights_of_the_networks():
    for options in VARIANTS:
        network = convolutional(**options)
        marked = network.module(network.penalised)
        for name, parameter in marked.named_parameters():
            expected = name.endswith("weight") and ".network." in name
            assert (parameter == float(expected)).all(), name
        assert set(network.penalised.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("image_shape", "expected"),
    [(None, (1, 64, 1)), ((8, 8), (8, 8, 1)), ([4, 4, 4], (4, 4, 4)), ((64, 1), (64, 1, 1))],
)
def test_image_shape_has_three_numbers(image_shape, expected):
    assert check_image_shape(image_shape, 64) == expected


@pytest.mark.parametrize(
    ("image_shape", "words"),
    [
        ((28, 28), r"image_shape=\(28, 28\) stands for 784 numbers a row, but X has 64 features"),
        ((64,), "height, width"),
        ((8, 8, 1, 1), "height, width"),
        ((-8, -8), "at least 1"),
        ((0, 8), "at least 1"),
        ((8.0, 8.0), "whole numbers"),
        ("88", "height, width"),
        (8, "height, width"),
    ],
)
def test_image_shapes_that_fit_nothing_are_refused(image_shape, words):
    with pytest.raises(ValueError, match=words):
        check_image_shape(image_shape, 64)


class TestImages:
    @pytest.mark.parametrize("kind", [AutoencoderTransformer, VariationalAutoencoderTransformer])
    @pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (4, 6, 1)])
    def test_arrays_of_images_are_rows_and_come_back_as_images(self, kind, shape):
        images = np.random.default_rng(0).random((20, *shape))
        rows = images.reshape(20, -1)
        make = partial(kind, 2, (3,), architecture="convolutional", max_iter=2, random_state=0)
        model = make().fit(images)
        plain = make(image_shape=shape).fit(rows)
        codes = model.transform(images)
        np.testing.assert_array_equal(codes, plain.transform(rows))
        np.testing.assert_array_equal(codes, plain.transform(images))
        np.testing.assert_array_equal(codes, model.transform(rows))
        np.testing.assert_array_equal(codes, make().fit(list(images)).transform(images))
        back = model.inverse_transform(codes)
        assert back.shape == images.shape
        np.testing.assert_array_equal(back.reshape(20, -1), plain.inverse_transform(codes))
        assert model.sample(3, random_state=0).shape == (3, *shape)
        for answer in ("score", "score_samples", "reconstruction_error"):
            found, expected = getattr(model, answer)(images), getattr(plain, answer)(rows)
            np.testing.assert_array_equal(found, expected)
        again = pickle.loads(pickle.dumps(model)).partial_fit(images)
        assert again.inverse_transform(codes).shape == images.shape
        assert model.n_features_in_ == rows.shape[1]

    def test_images_held_out(self):
        images = np.random.default_rng(0).random((20, 5, 4))
        how = {"architecture": "convolutional", "early_stopping": True, "max_iter": 2}
        model = AutoencoderTransformer(2, (3,), **how, random_state=0)
        assert len(model.fit(images, X_val=images[:5]).validation_scores_) == 2
        with pytest.raises(ValueError, match=r"X_val has images of .* \(5, 4\)"):
            model.fit(images, X_val=images[:5].swapaxes(1, 2))

    @pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (3, 4, 9)])
    def test_channels_first_are_refused(self, shape):
        images = np.zeros((4, *shape))
        with pytest.raises(ValueError, match=r"Channels come last: np.moveaxis\(X, 1, -1\)"):
            AutoencoderTransformer(architecture="convolutional").fit(images)
        with pytest.raises(
            ValueError, match="looks like \\(channels, height, width\\)"
        ) as refused:
            AutoencoderTransformer(architecture="convolutional", image_shape=shape).fit(
                images.reshape(4, -1)
            )
        assert f"image_shape={(*shape[1:], shape[0])}" in str(refused.value)
        model = AutoencoderTransformer(2, (2,), architecture="convolutional", max_iter=1)
        assert model.fit(np.moveaxis(images, 1, -1)).transform(np.moveaxis(images, 1, -1)).shape

    def test_other_images_than_in_fit_are_refused(self):
        images = np.random.default_rng(0).random((20, 5, 4))
        model = AutoencoderTransformer(2, (3,), architecture="convolutional", max_iter=1)
        with pytest.raises(ValueError, match=r"images of shape \(4, 5\)"):
            model.fit(images).transform(images.swapaxes(1, 2))
        with pytest.raises(ValueError, match="dim 3"):
            AutoencoderTransformer().fit(images)
