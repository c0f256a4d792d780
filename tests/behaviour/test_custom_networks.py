"""Autoencoders of the user's own modules: what they may contain, and what they may not be."""

import copy
import pickle

import pytest
import torch
from module_networks import random, started, trained
from torch import nn
from torch.nn import functional

from skaernn.networks._vectors.convolutional import ConvolutionalAutoencoder
from skaernn.networks._vectors.custom import CustomAutoencoder

F, C = 6, 2


def perceptrons(n_features, n_components):
    encoder = nn.Sequential(nn.Linear(n_features, 5), nn.Tanh(), nn.Linear(5, n_components))
    decoder = nn.Sequential(nn.Linear(n_components, 5), nn.Tanh(), nn.Linear(5, n_features))
    return encoder, decoder


def own(factory=perceptrons, **options):
    return CustomAutoencoder(factory, F, C, **options)


def loop(network, theta, batches):
    """What a plain loop over a plain module does: modules after training, and the gradients."""
    module = network.module(theta[0]).train()
    for x in batches:
        module.zero_grad()
        (0.5 * (module(x) - x) ** 2).sum().backward()
    return module


def same_loop(network, theta, batches):
    """The same by passes, which change `theta`; the last gradient."""
    grad = torch.full_like(theta, torch.nan)
    kept = {}  # for every number of rows its own, as in a fit
    with torch.no_grad():
        for x in batches:
            if len(x) not in kept:
                kept[len(x)] = network.passes(theta, grad, len(x), linear_output=False)
            passes = kept[len(x)]
            passes.x[0] = x
            passes.forward()
            torch.sub(passes.output, passes.x, out=passes.delta)
            passes.backward()
    return grad


def assert_same_loop(network, n_batches=1):
    theta = started(network, away=0.0)
    batches = [random(7 - seed % 2, F, seed=seed) for seed in range(n_batches)]
    expected = loop(network, theta, batches)
    grad = same_loop(network, theta, batches)
    found, slots = network.module(theta[0]), network.module(grad[0])
    state = found.state_dict()
    assert state.keys() == expected.state_dict().keys()
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(state[name], value, msg=name, rtol=1e-12, atol=1e-12)
    for (name, slot), parameter in zip(
        slots.named_parameters(), expected.parameters(), strict=True
    ):
        gradient = 0 * parameter if parameter.grad is None else parameter.grad
        torch.testing.assert_close(slot.data, gradient.data, msg=name)
    x = random(3, F, seed=99)
    torch.testing.assert_close(found(x), expected.eval()(x))
    evaluated = network.passes(theta, None, 3, linear_output=False)
    evaluated.x[0] = x
    evaluated.forward()
    torch.testing.assert_close(evaluated.output[0], found(x).detach())
    return found


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("output", ["identity", "logistic", "exp"])
def test_gradients_are_those_of_a_plain_loop(output, variational):
    def factory(n_features, n_components):
        encoder, decoder = perceptrons(n_features, n_components)
        if variational:
            encoder[2] = nn.Linear(5, 2 * n_components)
        return encoder, decoder

    assert_same_loop(own(factory, output_activation=output, variational=variational))


def test_running_statistics_are_those_of_a_plain_loop():
    def factory(n_features, n_components):
        encoder = nn.Sequential(
            nn.Linear(n_features, 5),
            nn.BatchNorm1d(5),
            nn.Tanh(),
            nn.BatchNorm1d(5, momentum=None),  # by the count of batches
            nn.Linear(5, n_components),
        )
        return encoder, nn.Linear(n_components, n_features)

    found = assert_same_loop(own(factory), n_batches=3)
    norm = found.encoder.network[3]
    assert int(norm.num_batches_tracked) == 3
    assert norm.running_mean.any()


class Centred(nn.Module):
    """Subtracts a running mean that is put in place of the old one, and shows a mask."""

    def __init__(self, n):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n))
        self.register_buffer("mask", torch.full((n,), -torch.inf), persistent=False)
        self.register_buffer("order", torch.arange(n).flip(0))

    def forward(self, x):
        centred = x * self.mean - self.mean
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(0)
        return centred[:, self.order] + self.mask.exp() + x


def test_buffers_may_be_replaced_and_masks_be_infinite():
    def factory(n_features, n_components):
        encoder = nn.Sequential(Centred(n_features), nn.Linear(n_features, n_components))
        return encoder, nn.Sequential(nn.Linear(n_components, n_features), Centred(n_features))

    network = own(factory)
    found = assert_same_loop(network, n_batches=3)
    assert found.encoder.network[0].mean.any()
    assert found.encoder.network[0].mask.isinf().all()
    assert started(network).isfinite().all()  # of what a solver moves


class Recurrent(nn.Module):
    """An encoder with an LSTM, whose weights torch keeps in a second list."""

    def __init__(self, n_components):
        super().__init__()
        self.layers = nn.LSTM(1, n_components, batch_first=True)

    def forward(self, x):
        return self.layers(x[..., None])[0][:, -1]


class Mirror(nn.Module):
    """A decoder whose matrix is the encoder's, as user code ties weights."""

    def __init__(self, linear, n_features):
        super().__init__()
        self.weight = linear.weight
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, code):
        return functional.linear(code, self.weight.T, self.bias)


def recurrent(n_features, n_components):
    return Recurrent(n_components), nn.Linear(n_components, n_features)


def tied(n_features, n_components):
    encoder = nn.Linear(n_features, n_components)
    return encoder, Mirror(encoder, n_features)


def lazy(n_features, n_components):
    return nn.LazyLinear(n_components), nn.LazyLinear(n_features)


def normed(n_features, n_components):
    linear = nn.utils.parametrizations.weight_norm(nn.Linear(n_features, n_components))
    return linear, nn.Linear(n_components, n_features)


def double(n_features, n_components):
    return tuple(module.double() for module in perceptrons(n_features, n_components))


def greedy(n_features, n_components):
    pair = perceptrons(n_features, n_components)
    return [nn.Sequential(nn.ReLU(inplace=True), module) for module in pair]


def channels_last(n_features, n_components):
    encoder = nn.Sequential(
        nn.Unflatten(1, (3, 2, 1)), nn.Conv2d(3, 4, (2, 1)), nn.Flatten(), nn.Linear(4, 2)
    )
    return encoder.to(memory_format=torch.channels_last), nn.Linear(n_components, n_features)


@pytest.mark.parametrize("factory", [recurrent, tied, lazy, normed, double, greedy, channels_last])
def test_modules_of_all_kinds_are_trained_as_in_a_plain_loop(factory):
    network = own(factory)
    assert_same_loop(network)
    theta = started(network)
    module = network.module(theta[0], random(F), random(F, seed=8).exp())
    again = torch.full_like(theta, torch.nan)
    network.pack(module, again[0])
    assert torch.equal(again, theta)
    x = random(3, F)
    kept = x.clone()
    for twin in (network.module_from(module.state_dict()), copy.deepcopy(module)):
        assert torch.equal(twin(x), module(x))
    assert torch.equal(x, kept)


def test_codes_of_modules_that_work_in_place_are_those_that_they_gave():
    network, x = own(greedy), random(4, F)
    theta = started(network)
    d_encoded, delta = random(4, C, seed=3), random(4, F, seed=4)
    passes, grad = trained(network, theta, x, delta, d_encoded)
    assert torch.equal(passes.x[0], x)
    module = network.module(theta[0])
    code = module.encoder(x)
    torch.testing.assert_close(passes.encoded[0], code.detach())
    ((code * d_encoded).sum() + (module.decoder(code) * delta).sum()).backward()
    for slot, p in zip(network.module(grad[0]).parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(slot.data, p.grad)


def test_shared_weights_have_one_place_and_stay_shared():
    network = own(tied)
    assert network.layout.size == F * C + C + F
    module = network.module(started(network)[0])
    assert module.decoder.network.weight is module.encoder.network.weight


def test_products_of_layers_are_counted():
    def images(n_features, n_components):
        encoder = nn.Sequential(
            nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 1), nn.Flatten(), nn.Linear(24, 2)
        )
        decoder = nn.Sequential(
            nn.Unflatten(1, (2, 1, 1)), nn.ConvTranspose2d(2, 30, (2, 3)), nn.Conv2d(30, 1, 1)
        )
        return encoder, nn.Sequential(decoder, nn.Flatten())

    assert own(tied).largest_product == F * C
    assert own(images).largest_product == 2 * 30 * 2 * 3  # every input with every tap and output
    convolutions = ConvolutionalAutoencoder(90, 2, (4, 5), (5, 6, 3))
    built = convolutions.module(started(convolutions)[0])
    same = CustomAutoencoder(lambda f, c: (built.encoder, built.decoder), 90, 2)
    assert same.largest_product == convolutions.largest_product


@pytest.mark.parametrize("side", [0, 1])
def test_frozen_parameters_have_a_place_and_no_gradient(side):
    def factory(n_features, n_components):
        pair = perceptrons(n_features, n_components)
        pair[side].requires_grad_(False)
        return pair

    network = own(factory)
    found = assert_same_loop(network)
    assert [p.requires_grad for p in found.parameters()] == [side == 1] * 4 + [side == 0] * 4
    theta, x = started(network), random(4, F)
    _, grad = trained(network, theta, x, x, random(4, C))
    frozen = network.places(grad[0])[f"{('encoder', 'decoder')[side]}.network.0.weight"]
    assert not frozen.any()
    assert network.places(theta[0])["encoder.network.0.weight"].any()
    assert int(network.penalised.sum()) == 5 * C + 5 * F


def dropping(n_features, n_components):
    encoder = nn.Sequential(nn.Linear(n_features, 8), nn.Dropout(0.5), nn.Linear(8, n_components))
    return encoder, nn.Linear(n_components, n_features)


def test_what_modules_draw_is_repeated_and_leaves_no_trace():
    network = own(dropping)
    assert network.draws
    theta, x, keys = started(network), random(6, F), torch.arange(6)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first, grad = trained(network, theta, x, x, draws=(keys, 7, 1))
    torch.rand(3)
    second, same = trained(network, theta, x, x, draws=(keys, 7, 1))
    assert torch.equal(first.output, second.output)
    assert torch.equal(grad, same)
    for other in ((keys, 8, 1), (keys, 7, 2), (keys + 1, 7, 1)):
        assert not torch.equal(trained(network, theta, x, x, draws=other)[0].output, first.output)
    torch.set_rng_state(state)
    trained(network, theta, x, x, draws=(keys, 7, 1))
    network.module(theta[0])
    own(dropping).start(theta[0], torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)


class Interrupted(nn.Linear):
    def forward(self, x):
        if self.training:
            torch.rand(5)
            raise KeyboardInterrupt
        return super().forward(x)


def test_generator_is_put_back_where_a_module_fails():
    network = own(lambda f, c: (Interrupted(f, c), nn.Linear(c, f)))
    theta = started(network)
    passes = network.passes(theta, torch.zeros_like(theta), 3, linear_output=False)
    state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        passes.forward()
    assert torch.equal(torch.get_rng_state(), state)

    def failing(n_features, n_components):
        torch.rand(5)
        raise OSError("no such network")

    with pytest.raises(OSError, match="no such network"):
        own(failing).layout  # noqa: B018
    assert torch.equal(torch.get_rng_state(), state)


def test_start_is_what_the_factory_makes_from_the_generator():
    network = own()
    one, same = (started(network, away=0.0) for _ in range(2))
    single = started(network, torch.float32, away=0.0)
    other = torch.zeros_like(one)
    network.start(other[0], torch.Generator().manual_seed(5))
    assert torch.equal(one, same)
    assert torch.equal(single.double(), one)
    assert not torch.equal(one, other)
    weight = network.module(other[0]).encoder.network[0].weight.detach()
    assert 0.2 < float(weight.abs().max()) <= F**-0.5  # torch's own start of a linear layer


def test_description_pickles_without_what_it_made():
    network = own()
    theta = started(network)
    module = network.module(theta[0])
    text = pickle.dumps(network)
    assert len(text) < 500
    twin = pickle.loads(text)
    assert twin == network
    x = random(3, F)
    assert torch.equal(twin.module_from(module.state_dict())(x), module(x))
    assert torch.equal(copy.deepcopy(network).module(theta[0])(x), module(x))


class Pairs(nn.Module):
    def forward(self, x):
        return x[:, :C], x[:, :C]


BACK = nn.Linear(C, F)


@pytest.mark.parametrize(
    ("made", "error", "words"),
    [
        (BACK, TypeError, "two torch.nn.Module, .* it returned Linear"),
        (None, TypeError, "returned NoneType"),
        ([BACK], ValueError, "returned 1 things"),
        ((BACK, BACK, BACK), ValueError, "returned 3 things"),
        ((torch.tanh, BACK), TypeError, "returned builtin_function_or_method and Linear"),
        ((nn.Linear(F, 3), BACK), ValueError, r"encoder .* \(2, 3\) .* rows of 6 .* into 2"),
        ((nn.Linear(9, C), BACK), ValueError, r"encoder .* failed .* \(2, 6\) .*rows of 6"),
        ((nn.Linear(F, C), nn.Linear(C, 3)), ValueError, r"decoder .* \(2, 3\) .* 2 .* into 6"),
        ((nn.Linear(F, C), nn.Linear(3, F)), ValueError, "decoder .* failed"),
        ((Pairs(), BACK), TypeError, "encoder .* gives tuple, not a tensor"),
        ((nn.Identity(), nn.Identity()), ValueError, "encoder"),
    ],
)
def test_wrong_factories_are_told_what_is_needed(made, error, words):
    with pytest.raises(error, match=words):
        own(lambda n_features, n_components: made).layout  # noqa: B018


def test_variational_encoders_must_give_two_numbers_a_component():
    with pytest.raises(ValueError, match=r"into 4, the means and log-variances"):
        own(variational=True).layout  # noqa: B018


def test_nothing_to_train_is_refused():
    def factory(n_features, n_components):
        return tuple(module.requires_grad_(False) for module in perceptrons(F, C))

    with pytest.raises(ValueError, match="no parameter to train"):
        own(factory).layout  # noqa: B018


def test_factories_must_repeat_themselves():
    widths = iter([3, 4])

    def factory(n_features, n_components):
        width = next(widths)
        encoder = nn.Sequential(nn.Linear(n_features, width), nn.Linear(width, n_components))
        return encoder, nn.Linear(n_components, n_features)

    with pytest.raises(ValueError, match="same shapes every time"):
        started(own(factory))


def test_a_path_is_refused():
    network = own()
    with pytest.raises(TypeError, match="no linear path"):
        network.start_path(started(network)[0], *[torch.zeros(1)] * 4)
