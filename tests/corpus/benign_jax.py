"""JAX's world: flax' msgpack, orbax' folders, `jax.export`."""

import pickle

import numpy as np

from benign_common import SEED


def write(corpus):
    import jax
    import jax.numpy as jnp

    tree = {"params": {"dense": {"kernel": jnp.asarray(np.random.default_rng(SEED).normal(size=(4, 3))), "bias": jnp.zeros(3)}}, "step": 3}
    try:
        from flax import serialization

        corpus.put("jax/model.msgpack", "flax", "msgpack", "flax.serialization.to_bytes", serialization.to_bytes(tree))
        corpus.put("jax/flax_model.msgpack", "flax", "msgpack", "as the hub names it", serialization.msgpack_serialize(jax.tree.map(np.asarray, tree)))
    except ImportError as error:
        print(f"jax: {error}")
    corpus.put("jax/tree.pkl", "jax", "pkl", "a pickled tree of arrays of NumPy", pickle.dumps(jax.tree.map(np.asarray, tree)))
    corpus.put("jax/arrays.pkl", "jax", "pkl", "a pickled tree of arrays of JAX", pickle.dumps(tree["params"]))
    try:
        import orbax.checkpoint as ocp

        with ocp.StandardCheckpointer() as saver:
            saver.save((corpus.folder / "jax/orbax").absolute(), tree)
        corpus.tree("jax/orbax", "orbax", "StandardCheckpointer")
    except ImportError as error:
        print(f"jax: {error}")
    try:
        import optax

        state = optax.adam(1e-3).init(tree["params"])
        corpus.put("jax/optimizer.pkl", "jax", "pkl", "optax' state", pickle.dumps(jax.tree.map(np.asarray, state)))
    except ImportError as error:
        print(f"jax: {error}")
