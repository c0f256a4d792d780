"""Passes by autograd: are gradients, draws, masks and penalties what they should be?"""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from module_networks import VARIANTS, convolutional, gradient, random, started, trained
from torch.func import jacrev, vmap

from skaernn.networks import PENALTIES, DenseAutoencoder
from skaernn.networks._vectors.autograd import ModulePasses
from skaernn.networks._vectors.module import LOG_VARIANCES

CONTRACTIVE = PENALTIES["contractive"]


@pytest.mark.parametrize("options", VARIANTS)
def test_passes_equal_autograd_through_the_module(options):
    network = convolutional(output_activation="exp", **options)
    theta, x = started(network), random(4, network.n_features)
    delta = random(*x.shape, seed=3)
    passes, grad = trained(network, theta, x, delta)
    module = network.module(theta[0])
    output = module(x)
    torch.testing.assert_close(passes.output[0], output)
    torch.testing.assert_close(grad, gradient(network, module, (output * delta).sum()))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("kind", ["dense", "convolutional"])
def test_contractive_penalty_equals_the_jacobian(kind, variational, weighted):
    options = {"activation": "tanh", "code_activation": "logistic", "variational": variational}
    network = {
        "dense": DenseAutoencoder(6, 2, (5,), **options),
        "convolutional": convolutional((3, 4, 2), hidden=(3, 2), **options),
    }[kind]
    theta, x = started(network), random(4, network.n_features)
    weight = random(4, 1, seed=5).abs() if weighted else None
    module = network.module(theta[0])
    jacobian = vmap(jacrev(lambda row: module.code(row[None])[0]))(x)  # (B, C, F)
    squares = jacobian.square().sum((1, 2))
    expected = 0.7 * (squares if weight is None else squares * weight[:, 0]).sum()

    grad = torch.full_like(theta, torch.nan)
    with torch.no_grad():
        passes = ModulePasses(network, theta, grad, 4, penalty=CONTRACTIVE)
        passes.x[0] = x
        for _ in range(2):  # the second time finds nothing of the first
            passes.forward()
            value = passes.contract(0.7, weight)
            passes.backward()
        evaluated = ModulePasses(network, theta, None, 4, penalty=CONTRACTIVE)
        evaluated.x[0] = x
        evaluated.forward()
        same = evaluated.contract(0.7, weight)
    assert value.shape == (1,)
    assert not value.requires_grad
    torch.testing.assert_close(value[0], expected.detach())
    torch.testing.assert_close(same, value)
    unused = _zeros_where_there_is_none(module, expected)
    torch.testing.assert_close(grad, gradient(network, module, expected + unused))


def _zeros_where_there_is_none(module, value):
    """Zero, which the decoder's parameters have a part in."""
    return 0 * value.detach() * sum(p.sum() for p in module.parameters())


def test_penalty_on_an_affine_encoder_is_its_norm_for_every_row():
    network = DenseAutoencoder(6, 2)
    theta, x = started(network), random(4, 6)
    passes = ModulePasses(network, theta, None, 4, penalty=CONTRACTIVE)
    passes.x[0] = x
    passes.forward()
    norm = network.module(theta[0]).encoder.network[0].weight.square().sum()
    torch.testing.assert_close(passes.contract(1.0, None)[0], 4 * norm.detach())


def test_codes_are_drawn_with_the_noise_given():
    network = convolutional(variational=True)
    theta, x = started(network), random(3, network.n_features)
    module = network.module(theta[0])
    module.encoder.network[-1].bias.data[2:] = torch.tensor([-100.0, 0.3])  # beyond, and within
    network.pack(module, theta[0])
    noise, delta = random(3, 2, seed=3), random(*x.shape, seed=4)
    grad = torch.empty_like(theta)
    with torch.no_grad():
        passes = ModulePasses(network, theta, grad, 3)
        passes.x[0], passes.noise[0] = x, noise
        passes.forward()
        passes.delta[0] = delta
        passes.backward()
    mean, log_variance = module.encoder(x).chunk(2, dim=1)
    torch.testing.assert_close(passes.encoded[0], torch.cat([mean, log_variance], 1))
    code = mean + log_variance.clamp(*LOG_VARIANCES).exp().sqrt() * noise
    output = module.decoder(code)
    torch.testing.assert_close(passes.output[0], output)
    torch.testing.assert_close(grad, gradient(network, module, (output * delta).sum()))
    assert torch.equal(network.module(grad[0]).encoder.network[-1].bias[2], torch.tensor(0.0))


def test_dropout_depends_on_content_alone():
    network = convolutional(dropout=0.4)
    theta, x = started(network), random(6, network.n_features)
    x[5] = x[0]
    keys = torch.tensor([3, 1, 4, 15, 9, 3])
    delta = torch.ones_like(x)
    order = torch.tensor([4, 2, 0, 1, 5, 3])
    passes, grad = trained(network, theta, x, delta, draws=(keys, 7, 1))
    shuffled, other = trained(network, theta, x[order], delta, draws=(keys[order], 7, 1))
    torch.testing.assert_close(passes.output[0, 0], passes.output[0, 5])
    torch.testing.assert_close(shuffled.output[0], passes.output[0, order])
    torch.testing.assert_close(other, grad)
    for seed, epoch in ((8, 1), (7, 2)):
        changed, _ = trained(network, theta, x, delta, draws=(keys, seed, epoch))
        assert not torch.equal(changed.output, passes.output)
    passes.draw_masks(keys, 7, 2)
    passes.forward()
    torch.testing.assert_close(passes.output[0, 0], passes.output[0, 5])
    without, _ = trained(replace(network, dropout=0.0), theta, x, delta)
    assert not torch.allclose(without.output, passes.output)
    evaluated = network.passes(theta, None, 6, linear_output=False)
    evaluated.x[0] = x
    evaluated.draw_masks(keys, 7, 1)
    evaluated.forward()
    torch.testing.assert_close(evaluated.output, without.output)


@pytest.mark.parametrize("linear_path", [False, True])
def test_masks_are_those_of_the_hand_written_passes(linear_path):
    network = DenseAutoencoder(6, 2, (5, 4), dropout=0.3, linear_path=linear_path)
    theta, x = started(network), random(4, 6)
    keys, delta = torch.arange(4), random(4, 6, seed=3)
    passes, grad = trained(network, theta, x, delta, draws=(keys, 7, 1))
    expected = torch.empty_like(theta)
    written = network.passes(theta, expected, 4, linear_output=False)
    written.x[0] = x
    written.draw_masks(keys, 7, 1)
    written.forward()
    written.delta[0] = delta
    written.backward()
    torch.testing.assert_close(passes.output, written.output)
    torch.testing.assert_close(grad, expected)


@pytest.mark.parametrize("options", [*VARIANTS, {"dropout": 0.5}])
def test_gradients_are_added_in_place(options):
    network = convolutional(**options)
    theta, x = started(network), random(4, network.n_features)
    penalty = CONTRACTIVE
    grad = torch.full_like(theta, torch.nan)
    with torch.no_grad():
        passes = ModulePasses(network, theta, grad, 4, linear_output=False, penalty=penalty)
        slots = [(p, p.grad, p.data_ptr(), p.grad.data_ptr()) for p in passes.module.parameters()]
        for _ in range(3):
            passes.x[0] = x
            passes.forward()
            passes.contract(0.1, None)
            passes.delta.copy_(passes.output)
            passes.backward()
            before = grad.clone()
            theta.sub_(grad, alpha=1e-3)
            assert all(p.grad is slot and p.data_ptr() == a for p, slot, a, _ in slots)
    places = sorted(b - grad.data_ptr() for *_, b in slots)
    assert places[0] == 0
    assert places[-1] < grad.numel() * grad.element_size()
    assert sum(p.numel() for p, *_ in slots) == grad.numel()
    assert torch.equal(grad, before)
    assert grad.isfinite().all()


@pytest.mark.parametrize("options", VARIANTS)
def test_packing_a_module_gives_its_parameters_back(options):
    network = convolutional(**options)
    theta = started(network)
    module = network.module(theta[0], random(90, seed=8), random(1, seed=9).exp())
    again = torch.full_like(theta, torch.nan)
    network.pack(module, again[0])
    assert torch.equal(again, theta)
    assert not module.training
    x = random(3, network.n_features)
    for twin in (
        network.module_from(module.state_dict()),
        copy.deepcopy(module),
        network.module_from(copy.deepcopy(module).state_dict()),
        pickle.loads(pickle.dumps(module)),
    ):
        assert not twin.training
        assert torch.equal(twin(x), module(x))
        twin.encoder.network[1].weight.data.zero_()  # nothing is shared, but within a module
        assert not torch.equal(twin(x), module(x))
    theta.zero_()
    network.pack(module, again[0])
    assert again.any()


def test_description_pickles_without_what_it_made():
    network = convolutional()
    size = len(pickle.dumps(network))
    network.module(started(network)[0])
    assert len(pickle.dumps(network)) == size
    twin = pickle.loads(pickle.dumps(network))
    assert twin == network
    assert twin.layout.offsets == network.layout.offsets


def test_several_models_are_refused():
    network = convolutional()
    with pytest.raises(ValueError, match="one model at a time, not 2"):
        network.passes(torch.zeros(2, network.layout.size), None, 3, linear_output=True)
