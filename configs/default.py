"""Every field that a run has, with the values of the paper's baseline.

Other configs import this one and change a few lines. Any field can be set on the command line:

    scripts/train.py --config configs/default.py --workdir runs/try --config.train.batch_size=8
"""

from typing import Any

from ml_collections import ConfigDict


def get_config() -> Any:
    """The paper's baseline at 64³: 100 epochs, batch 64, λ = 100."""
    config: Any = ConfigDict()
    config.seed = 0
    # How it is trained, see voxgan_jax/training/objectives: "gan" is the paper's, "regression" has
    # no adversary, "wgan" has a critic, "flow" draws half sections, "voxel_flow" whole grids,
    # "locator" finds out where a sherd lay.
    config.objective = "gan"

    config.data = ConfigDict()
    # The --out_dir of scripts/prepare_data.py; there must be a data set for these three fields.
    config.data.dir = "data/prepared"
    config.data.resolution = 64
    config.data.pool = 1
    config.data.placement = "center"
    # "train+validation" is the whole train split of the original.
    config.data.train_split = "train"
    config.data.keep_last_batch = True
    # "tfdata" streams batches from the host; "resident" keeps the split on the devices, where it is
    # sampled inside the compiled step, and imports no TensorFlow. "sherds" is the locator's.
    config.data.source = "tfdata"
    # Parts of the split, each with an order of its own; the number of processes must divide it.
    config.data.num_shards = 1
    # Turn and mirror pots about their axis (8 ways), drawn inside the compiled step.
    config.data.augment = False
    # Stretch pots by a random factor of up to 1 ± this, across and in height.
    config.data.scale_radius = 0.0
    config.data.scale_height = 0.0
    # Bend their profiles at random, all the way round, by waves of up to this amplitude (0.3).
    config.data.warp = 0.0
    # Move pots to a random place in the cube: for models that find the axis themselves.
    config.data.shift = False
    # So many synthetic pots join the training split, each broken in 4 ways; only with "resident".
    config.data.synthetic_pots = 0
    # Like those of the data set ("iberian"), or of anywhere ("world").
    config.data.synthetic_kind = "iberian"
    # With each pot's half section as a signed distance, for "flow"; only with "resident".
    config.data.profiles = False
    # By how much an axis is missed there in training, in voxels: as it is where it is found.
    config.data.axis_noise = 0.0
    # Of "sherds": lines about each, 2 near its axis, and from 12 on wrong ones of all kinds.
    config.data.lines = 12
    # Keep the decoded split in memory after the first epoch (one byte a voxel).
    config.data.cache = True
    # 0 shuffles the whole split; a smaller buffer needs less memory.
    config.data.shuffle_buffer = 0

    # Which fragments of a pot are given, see voxgan_jax/data/fragments.py.
    config.fragments = ConfigDict()
    config.fragments.mode = "k"
    config.fragments.k = 1
    # Above k: from k to so many fragments, all numbers equally likely.
    config.fragments.max_k = 0
    config.fragments.min_share = 0.0
    config.fragments.max_share = 1.0
    config.fragments.keep_crumbs = True

    config.generator = ConfigDict()
    # "unet" is the paper's; "revolve" knows of the axis, see voxgan_jax/models/revolve.py;
    # "unet_sdf" answers by a signed distance, "voxel_flow" draws whole grids, "bricks" refines
    # what a "unet" of half the resolution answers, "gan3d" makes pots from noise.
    config.generator.kind = "unet"
    config.generator.features = 32
    config.generator.num_res_blocks = 0
    # False: the plain encoder-decoder of the paper's text, without skip connections.
    config.generator.skips = True
    # Of "revolve": the dense code between heights, the rings' width in voxels, and the channels of
    # the 3D network that corrects the revolved profile (0: no such network).
    config.generator.bottleneck = 256
    config.generator.ring_width = 0.5
    config.generator.residual_features = 0
    # Train that network alone, on profiles and axes as they are found.
    config.generator.only_residual = False
    # Where the pot's axis stands: "centre", or "found", at most so many voxels from the centre (0:
    # anywhere).
    config.generator.axis = "centre"
    config.generator.axis_within = 0.0
    # What the roundness of the fragment counts beside the network that looks for the axis.
    config.generator.axis_trust = 1.0
    # About so many of the likeliest axes the pot is completed; the answer is their mean.
    config.generator.axis_average = 1
    # Of "revolve_hypotheses": numbers in the code for what a sherd leaves open.
    config.generator.code_size = 16
    # Of "voxel_flow": what flows, "occupancy" or the signed "distance".
    config.generator.target = "occupancy"
    # Of "bricks": so many bricks of 8³ voxels are refined, by convolutions of so many channels.
    config.generator.bricks = 2048
    config.generator.brick_features = 16
    # The kind of the model that answers at half the side.
    config.generator.coarse = "unet"
    # Train the convolutions alone; the coarse answer stays as train.init_weights has it.
    config.generator.only_bricks = False
    # Of "gan3d": how often a side of 4 voxels doubles: 4 times to 64³.
    config.generator.doublings = 4
    config.generator.conv_form = "auto"
    config.generator.dtype = "float32"

    config.discriminator = ConfigDict()
    config.discriminator.features = 32
    # Power iterations of spectral normalisation per forward pass in training; 0: none of it.
    config.discriminator.spectral_norm_iterations = 0
    config.discriminator.conv_form = "auto"
    config.discriminator.dtype = "float32"
    # "batch", as the paper's, or "none", as a gradient penalty wants it.
    config.discriminator.norm = "batch"
    # Above this share of pots that it tells right the discriminator is not updated; 1: never so.
    config.discriminator.accuracy_limit = 1.0

    # Of "wgan": updates of the critic for each of the generator, and for each of its first 25 and
    # every 500th; the bound of the critic's weights (0: none); the weight of the gradient penalty.
    config.critic = ConfigDict()
    config.critic.steps = 5
    config.critic.first_steps = 100
    config.critic.clip = 0.01
    config.critic.penalty = 0.0

    config.loss = ConfigDict()
    # "bce" is the paper's; "hinge" gives nothing for what is told apart by a margin.
    config.loss.adversarial = "bce"
    # Of the generator's adversarial loss.
    config.loss.adversarial_weight = 1.0
    # "l1" is the paper's; "bce" learns faster at the start of a run; "bce_dice" adds soft Dice and
    # leaves given voxels out; "dice" is that alone.
    config.loss.recon = "l1"
    # λ of the paper's eq. 3.
    config.loss.recon_weight = 100.0
    # Of the loss on the profile, for generators that have one.
    config.loss.profile_weight = 0.0
    # Of the loss on the axis, for generators that look for it.
    config.loss.axis_weight = 0.0
    # Of the distance of posterior and prior, for generators with several answers.
    config.loss.kl_weight = 0.0
    # Of the signed distance of generators that answer by one, and of its slope beside that.
    config.loss.distance_weight = 0.0
    config.loss.eikonal_weight = 0.0
    # Of "flow": the share of examples that is for the quick answer.
    config.loss.quick_share = 0.4
    config.loss.real_label_low = 0.8
    config.loss.real_label_high = 1.1

    # How "profile_flow" and "voxel_flow" draw: so many pots, each in so many steps.
    config.sample = ConfigDict()
    config.sample.draws = 8
    config.sample.steps = 6

    config.optim = ConfigDict()
    # "adam" or "rmsprop".
    config.optim.kind = "adam"
    config.optim.generator_learning_rate = 2e-3
    config.optim.discriminator_learning_rate = 2e-4
    config.optim.critic_learning_rate = 5e-5
    config.optim.b1 = 0.9
    config.optim.b2 = 0.999
    # Steps over which both rates rise in a line to their values; 0: none, as in the paper.
    config.optim.warmup_steps = 0
    # "constant", or "one_cycle": up and down along a cosine over num_train_steps.
    config.optim.schedule = "constant"
    # Of "one_cycle": the share of the run over which the rate rises.
    config.optim.rising_share = 0.3
    # Above 0: AdamW in the place of Adam.
    config.optim.weight_decay = 0.0

    config.parallel = ConfigDict()
    # How the step is compiled for several devices: "jit" or "pmap". Both give the same numbers.
    config.parallel.mode = "jit"
    # Several processes: "HOST:PORT" of process 0, their number, and which one this is. Unset, the
    # environment or SLURM or Open MPI tells, see voxgan_jax/devices/processes.py.
    config.parallel.coordinator_address = ""
    config.parallel.num_processes = 0
    config.parallel.process_id = -1

    config.train = ConfigDict()
    config.train.batch_size = 64
    config.train.num_epochs = 100
    # Above 0 it takes the place of num_epochs.
    config.train.num_train_steps = 0
    config.train.log_every_steps = 10
    # Decay of the moving average of the generator's parameters; 0 keeps none.
    config.train.ema_decay = 0.0
    # A weights file whose generator's parameters are taken over where name and shape agree.
    config.train.init_weights = ""
    # Micro-batches a step: less memory for the same batch.
    config.train.accumulate_steps = 1
    # Steps that are run in one call of the devices; above 1 only with data.source = "resident".
    config.train.steps_per_dispatch = 1
    # On a GPU: a run that was stopped ends bit for bit like one that was not, as any does on a CPU;
    # slower. Set before JAX starts, by XLA's --xla_gpu_deterministic_ops=true.
    config.train.deterministic = False

    config.eval = ConfigDict()
    config.eval.split = "validation"
    # 0: only after the last step.
    config.eval.every_epochs = 5
    config.eval.batch_size = 64
    config.eval.threshold = 0.5

    config.checkpoint = ConfigDict()
    config.checkpoint.every_steps = 500
    config.checkpoint.keep = 3
    return config
