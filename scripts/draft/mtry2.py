import sys, pickle, pathlib, time; sys.path.insert(0,'/work/main')
import numpy as np, jax.numpy as jnp
from scipy import ndimage
from voxgan_jax.inference import completer
from voxgan_jax.placement import several, locator, axis_fit
from voxgan_jax.placement.candidate import matrix
model=completer.load(weights_file=pathlib.Path('/work/main/runs/D/generator.safetensors'))
data=pickle.load(open(sys.argv[1],'rb'))
counts=[int(x) for x in sys.argv[2].split(',')]
if len(sys.argv)>3: exec(sys.argv[3])
def iou_of(answer,M,clay,r):
    back=np.linalg.inv(M)@r['matrix']
    cells=np.indices(answer.shape).reshape(3,-1)
    a=ndimage.map_coordinates(answer,back[:3,:3]@cells+back[:3,3:],order=1).reshape(answer.shape)
    pot=(a>model.threshold)|r['given']
    return float((pot&clay).sum()/(pot|clay).sum())
def detail(r,c,clay,axis,step):
    cells=np.argwhere(r['given']); pts=cells@r['matrix'][:3,:3].T+r['matrix'][:3,3]
    e=(np.linalg.inv(matrix(c,64))@np.c_[pts,np.ones(len(pts))].T)[:3].T
    s=c.voxel/step
    rt=np.hypot(*(cells[:,:2]-axis).T)
    dr=np.hypot(*(e[:,:2]-31.5).T)*s-rt
    tall=np.ptp(np.flatnonzero(clay.any(axis=(0,1))))+1
    bottom=np.flatnonzero(clay.any(axis=(0,1))).max()
    dz=(e[:,2]-bottom)*s-(cells[:,2]-bottom)
    up=-r['matrix'][:3,2]/step
    return np.degrees(np.arccos(np.clip(c.axis.direction@up,-1,1))),dr.mean(),dr.std(),dz.mean(),abs(dr.mean()/rt.mean())<.05 and abs(dz.mean())/tall<.05
def aligned(answer,clay,axis,s,offset):
    d,h,w=np.indices(clay.shape).reshape(3,-1)
    a=ndimage.map_coordinates(answer,np.stack([31.5+(d-axis[0])/s,31.5+(h-axis[1])/s,w/s+offset]),order=1).reshape(clay.shape)
    pot=a>model.threshold
    return float((pot&clay).sum()/(pot|clay).sum())
def offs(r,M,s):
    cells=np.argwhere(r['given']); pts=cells@r['matrix'][:3,:3].T+r['matrix'][:3,3]
    e=(np.linalg.inv(M)@np.c_[pts,np.ones(len(pts))].T)[:3].T
    return (e[:,2]-cells[:,2]/s)
def single_aligned(r,clay,axis,step):
    M=r['place'].matrix; pts,vol=r['guess'].view.fill
    cell=np.rint((pts-M[:3,3])@np.linalg.inv(M[:3,:3]).T).astype(int)
    ok=((cell>=0)&(cell<64)).all(1); c=np.zeros((64,)*3); np.add.at(c,tuple(cell[ok].T),1.)
    st=r['place'].voxel_mm
    g=ndimage.gaussian_filter(c*vol/st**3,.4)>.5
    ans=np.where(g,1.,np.asarray(model.glance(jnp.asarray(g[None,...,None],jnp.float32)))[0,...,0])
    s=st/step
    return aligned(ans,clay,axis,s,offs(r,M,s).mean())
tot={}
for name,step,clay,axis,row in data:
    if len(row)<5 or any(r['guess'] is None for r in row): continue
    for k in counts:
        some=row[:k]
        t=time.time()
        S=several.search(model,[r['guess'] for r in some])
        pots=several.run(S); pot=pots[0]
        t=time.time()-t
        made,whole=several.spread(S,pot.parts)
        ans=np.asarray(model.glance(jnp.asarray(whole[None,...,None],jnp.float32)))[0,...,0]; ans=np.where(whole,1.,ans)
        ious=[iou_of(ans,matrix(made[n],64),clay,r) for n,r in enumerate(some)]
        det=[detail(r,made[n],clay,axis,step) for n,r in enumerate(some)]
        # score of the truth-like start: true place refined?
        sc=pot.parts[0].candidate.voxel/step
        pl=[n for n,p in enumerate(pot.parts) if p.placed] or [0]
        al=aligned(ans,clay,axis,sc,np.concatenate([offs(some[n],matrix(made[n],64),sc) for n in pl]).mean())
        sal=[single_aligned(r,clay,axis,step) for r in some]
        union=np.logical_or.reduce([r['given'] for r in some])
        a=np.where(union,1,np.asarray(model.glance(jnp.asarray(union[None,...,None],jnp.float32)))[0,...,0])>model.threshold
        oracle=float((a&clay).sum()/(a|clay).sum())
        single=[r['iou'] for r in some]; conf=[r['place'].share for r in some]
        errs=[p.candidate.axis for p in pot.parts]
        big=int(np.argmax([r['share'] for r in some])); byL=int(np.argmax([p.foretold*p.placed-9*(not p.placed) for p in pot.parts]))
        d=dict(al=al,sal=max(sal),salsure=sal[int(np.argmax([r['place'].share for r in some]))],big=ious[big],byL=ious[byL],top=max(ious),best=max(single),mean=np.mean(single),sure=single[int(np.argmax(conf))],oracle=oracle,scale=pot.parts[0].candidate.voxel/step-1,right=np.mean([x[4] for x in det]),t=t)
        tot.setdefault(k,[]).append(d)
        print(name,k,{a:round(float(b),3) for a,b in d.items()},'score %.1f'%pot.score,flush=True)
        for n,(x,p,r) in enumerate(zip(det,pot.parts,some)): print('     ang %.1f dr %.2f sd %.2f dz %.2f %s'%x,'L %.2f T %.1f %s iou %.3f single %.3f'%(p.foretold,p.candidate.log_share,p.placed,ious[n],r['iou']),flush=True)
for k,v in tot.items():
    print(k,len(v),{a:round(float(np.mean([x[a] for x in v])),3) for a in v[0]},'|scale|',np.median([abs(x['scale']) for x in v]).round(3))
