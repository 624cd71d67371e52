import sys; sys.path.insert(0,'/work/main')
import numpy as np, pickle
from scipy.spatial.transform import Rotation
from scripts.lib import scans
from voxgan_jax.data import source, fragments
from voxgan_jax.geometry import surface, wheel
seed,n,out=int(sys.argv[1]),int(sys.argv[2]),sys.argv[3]
data=source.open_split('/work/main/runs/pots','validation',resolution=64,pool=1)
rng=np.random.default_rng(seed)
drawn,seen={}, {}
for pot in data.pots:
    counts=fragments.voxel_counts(pot.labels)
    total=counts[1:].sum()
    ids=[i for i in range(1,len(counts)) if .05<=counts[i]/total<=.15]
    if len(ids)>=5:
        seen[pot.pot]=seen.get(pot.pot,0)+1
        if rng.random()*seen[pot.pot]<1: drawn[pot.pot]=(pot,ids)
print(len(drawn),'pots')
res=[]
for number,own in zip(rng.permutation(len(drawn))[:n], rng.spawn(n)):
    pot,ids=list(drawn.values())[number]
    chosen=own.permutation(ids)[:5]
    step=float(own.uniform(1.5,8)); clay=pot.labels>0
    parts=[]
    for c in chosen:
        turn=np.eye(4); turn[:3,:3]=Rotation.random(rng=own).as_matrix(); turn[:3,3]=own.uniform(-100,100,3)
        matrix=turn@surface.frame(pot.labels.shape,step,up='z')
        mesh=scans.scan(pot.labels,int(c),matrix,scans.draw_faults(own),own)
        mesh._cache.clear()
        parts.append((mesh,matrix,pot.labels==c))
    res.append((pot.name,step,clay,np.array(wheel.find_axis(clay)),parts))
    print(len(res),pot.name,[len(p[0].faces) for p in parts],[round(p[2].sum()/clay.sum(),3) for p in parts],flush=True)
pickle.dump(res,open(out,'wb'))
